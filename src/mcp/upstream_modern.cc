#include "mcp/upstream_modern.h"

#include "json/document.h"
#include "mcp/envelope.h"
#include "mcp/member_scan.h"
#include "mcp/upstream_bridge.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

constexpr int kMaxRounds = 16;  // of one call; a server that asks for ever is not obeyed
constexpr std::string_view kAllLists =
    R"({"toolsListChanged":true,"promptsListChanged":true,"resourcesListChanged":true})";

bool MayAsk(std::string_view method) {
  return method == "tools/call" || method == "prompts/get" || method == "resources/read";
}

bool IsInputRequest(std::string_view method) {
  return method == "elicitation/create" || method == "sampling/createMessage" ||
         method == "roots/list";
}

/// An unfinished result, as raw texts.
struct InputRequired {
  std::string_view type, requests, state;
};

InputRequired ReadUnfinished(std::string_view result) {
  InputRequired found;
  MemberScan scan(result);
  while (scan.Next()) {
    if (scan.key() == "resultType")
      found.type = scan.value();
    else if (scan.key() == "inputRequests")
      found.requests = scan.value();
    else if (scan.key() == "requestState")
      found.state = scan.value();
  }
  return found;
}

/// The client's answers to one round, or the error with which it ended the call.
struct Responses {
  std::string json;
  std::optional<UpstreamAnswer> refused;
};

Task<Responses> Gather(std::string requests, UpstreamEvents& events) {
  const auto doc = json::Document::Parse(requests);
  if (!doc || !doc->root().is(json::Kind::object)) {
    co_return Fail(Errc::upstream_protocol, "inputRequests is no object");
  }
  Responses out;
  out.json = "{";
  for (auto request = doc->root().first(); request; request = request.next()) {
    const auto method = request["method"].string();
    const json::Value params = request["params"];
    if (!method || !IsInputRequest(*method) || (params && !params.is(json::Kind::object))) {
      co_return Fail(Errc::upstream_protocol, "inputRequests holds what no client can be asked");
    }
    SALLYPORT_CO_TRY(UpstreamAnswer answer,
                     co_await events.OnRequest(std::string(*method), std::string(params.raw())));
    if (answer.error) {
      if (*method != "elicitation/create") {
        out.refused = std::move(answer);
        co_return out;
      }
      answer.json = R"({"action":"cancel"})";
    }
    if (out.json.size() > 1) out.json += ',';
    out.json.append(request.raw_key()) += ':';
    out.json += answer.json;
  }
  out.json += '}';
  co_return out;
}

/// Hands on what a listen stream brings; the acknowledgement once, and to modern clients only.
class ListenEvents final : public UpstreamEvents {
 public:
  ListenEvents(UpstreamEvents& inner, bool modern) : inner_(inner), acknowledge_(modern) {}

  Task<> OnNotification(std::string message) override {
    const auto read = ReadMessage(message);
    const bool acknowledged = read && read->method == "notifications/subscriptions/acknowledged";
    if (acknowledged && !std::exchange(acknowledge_, false)) co_return Result<>();
    co_return co_await inner_.OnNotification(std::move(message));
  }
  Task<UpstreamAnswer> OnRequest(std::string method, std::string params) override {
    return inner_.OnRequest(std::move(method), std::move(params));
  }

 private:
  UpstreamEvents& inner_;
  bool acknowledge_;
};

}  // namespace

Task<> NoEvents::OnNotification(std::string) { co_return Result<>(); }

Task<UpstreamAnswer> NoEvents::OnRequest(std::string, std::string) {
  co_return UpstreamAnswer{true, ErrorText(-32601, "Method not found")};
}

Task<UpstreamAnswer> ModernTalk::Call(UpstreamRequest request, UpstreamEvents& events) {
  if (!IsModern(face_.revision)) return CallForSession(std::move(request), events);
  return transport_.Ask({std::move(request.method), std::move(request.params),
                         std::move(request.headers), std::move(request.name), face_.caller.get()},
                        events);
}

Task<UpstreamAnswer> ModernTalk::CallForSession(UpstreamRequest request, UpstreamEvents& events) {
  if (UpstreamAnswer here; AnswerHere(request, here)) co_return here;
  std::string responses, state;
  auto pause = std::chrono::milliseconds(100);
  for (int round = 0; round < kMaxRounds; ++round) {
    SALLYPORT_CO_TRY(std::string params,
                     ModernParams(request.params, face_, {log_level_, responses, state}));
    SALLYPORT_CO_TRY(UpstreamAnswer answer,
                     co_await transport_.Ask({request.method, std::move(params), request.headers,
                                              request.name, face_.caller.get()},
                                             events));
    if (answer.error) co_return answer;
    const InputRequired more = ReadUnfinished(answer.json);
    if (more.type.empty() || more.type == R"("complete")") co_return answer;
    if (more.type != R"("input_required")" || !MayAsk(request.method) ||
        (more.requests.empty() && more.state.empty()) ||
        (!more.state.empty() && !more.state.starts_with('"'))) {
      co_return Fail(Errc::upstream_protocol,
                     "a result that is neither complete nor a valid question");
    }
    state = more.state;
    if (more.requests.empty()) {
      responses.clear();
      SALLYPORT_CO_CHECK(co_await net::Sleep(pause));
      pause = std::min(pause * 2, std::chrono::milliseconds(5'000));
      continue;
    }
    SALLYPORT_CO_TRY(Responses gathered, co_await Gather(std::string(more.requests), events));
    if (gathered.refused) co_return std::move(*gathered.refused);
    responses = std::move(gathered.json);
  }
  co_return Fail(Errc::upstream_protocol, "upstream asks for input again and again");
}

bool ModernTalk::AnswerHere(const UpstreamRequest& request, UpstreamAnswer& answer) {
  answer = {false, "{}"};
  if (request.method == "ping") return true;
  if (request.method == "logging/setLevel") {
    log_level_ = FindMember(request.params, "level");
    return true;
  }
  const bool subscribe = request.method == "resources/subscribe";
  if (!subscribe && request.method != "resources/unsubscribe") return false;
  const std::string uri(FindMember(request.params, "uri"));
  const bool changed = subscribe ? subscribed_.insert(uri).second : subscribed_.erase(uri) > 0;
  if (changed) {
    reopen_ = true;
    listens_.CancelAll();
  }
  return true;
}

std::string ModernTalk::Filter(std::string_view filter) const {
  std::string out(filter.empty() ? kAllLists : filter);
  if (subscribed_.empty()) return out;
  // A session client says its subscriptions one by one, so its filter has none.
  out.pop_back();
  out += out.size() > 1 ? R"(,"resourceSubscriptions":[)" : R"("resourceSubscriptions":[)";
  for (const auto& uri : subscribed_) {
    if (out.back() != '[') out += ',';
    out += uri;
  }
  return out += "]}";
}

Task<UpstreamAnswer> ModernTalk::Listen(std::string filter, UpstreamEvents& events) {
  ListenEvents listener(events, IsModern(face_.revision));
  while (true) {
    reopen_ = false;
    SALLYPORT_CO_TRY(
        std::string params,
        ModernParams(R"({"notifications":)" + Filter(TrimJson(filter)) + "}", face_, {}));
    auto answer = co_await listens_.Run(
        listens_.Take(), {},
        transport_.Ask({"subscriptions/listen", std::move(params), {}, {}, face_.caller.get()},
                       listener));
    if (!answer && (reopen_ || answer.error().code == Errc::upstream_timeout)) continue;
    co_return answer;
  }
}

Task<std::optional<UpstreamFace>> ProbeModern(ModernTransport& transport,
                                              std::shared_ptr<const op::Session> caller) {
  ClientFace nobody;
  nobody.revision = Revision::r2026_07_28;
  SALLYPORT_CO_TRY(std::string params, ModernParams({}, nobody, {}));
  NoEvents ignored;
  const auto answer =
      co_await transport.Ask({"server/discover", std::move(params), {}, {}, caller.get()}, ignored);
  if (!answer) {
    // Whatever it said that is not modern means `initialize`, which finds out what is really wrong.
    if (answer.error().code == Errc::upstream_protocol) co_return std::nullopt;
    co_return std::unexpected(answer.error());
  }
  if (!answer->error) {
    auto face = ReadDiscover(answer->json);
    if (!face) co_return std::nullopt;
    if (!face->revisions.empty() && IsModern(face->revisions.back())) co_return std::move(*face);
    if (!face->revisions.empty()) co_return std::nullopt;
    co_return Fail(Errc::upstream_protocol, "upstream speaks no revision that is spoken here");
  }
  const auto doc = json::Document::Parse(answer->json);
  const int64_t code = doc ? doc->root()["code"].integer().value_or(0) : 0;
  if (code == -32022) {
    const json::Value supported = doc->root()["data"]["supported"];
    for (auto v = supported.at(0); v; v = v.next()) {
      const auto known = ParseRevision(v.string().value_or(std::string_view()));
      if (known && !IsModern(*known)) co_return std::nullopt;
    }
    co_return Fail(Errc::upstream_protocol, "upstream speaks no revision that is spoken here");
  }
  if (code == -32020 || code == -32021) {
    co_return Fail(Errc::upstream_protocol,
                   "upstream refused server/discover with " + std::to_string(code));
  }
  co_return std::nullopt;
}

}  // namespace sallyport::mcp
