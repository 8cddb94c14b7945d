#include <algorithm>
#include <charconv>

#include "mcp/answer_http.h"
#include "mcp/call.h"
#include "mcp/era.h"
#include "mcp/header_check.h"
#include "mcp/hop.h"
#include "mcp/json_edit.h"
#include "mcp/member_scan.h"
#include "mcp/modern_request.h"
#include "mcp/pump.h"
#include "mcp/request_binding.h"
#include "mcp/upstream_bridge.h"
#include "net/event.h"
#include "policy/rules.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxPeers = 8;  // of one caller: different sets of capabilities

/// The envelope of 2026-07-28: version, metadata, mirrored headers. The answer to give, or none.
std::optional<std::pair<Error, WireAnswer>> CheckEnvelope(const Visit& visit,
                                                          const ClientMessage& m) {
  const net::Headers& headers = visit.request().headers;
  const auto fail = [](Error error) {
    WireAnswer answer = ToWire(error, {});
    return std::pair(std::move(error), std::move(answer));
  };
  if (headers.Count("MCP-Protocol-Version") > 1) {
    return fail(Error(Errc::header_mismatch, "the MCP-Protocol-Version field occurs twice"));
  }
  const auto header = headers.Find("MCP-Protocol-Version");
  const json::Value meta = m.params["_meta"];
  const auto version = meta[kMetaProtocolVersion].string();
  if (!version || !meta[kMetaClientCapabilities].is(json::Kind::object)) {
    auto refused = fail(Error(Errc::request_malformed));
    refused.second.json = ErrorObject(
        kInvalidParams, "Invalid params: _meta must hold " + std::string(kMetaProtocolVersion) +
                            " and " + std::string(kMetaClientCapabilities));
    return refused;
  }
  if (!header)
    return fail(Error(Errc::header_mismatch, "the MCP-Protocol-Version field is missing"));
  if (*header != *version) {
    return fail(
        Error(Errc::header_mismatch, "the MCP-Protocol-Version field does not match the body"));
  }
  if (*version != RevisionName(Revision::r2026_07_28)) {
    const bool plain = !HoldsSecret(visit.rules(), *version);
    return std::pair(Error(Errc::version_unsupported),
                     UnsupportedVersion(plain ? *version : "", true));
  }
  if (const auto agreed = CheckStandardHeaders(headers, m); !agreed) return fail(agreed.error());
  return std::nullopt;
}

/// The client's capabilities as the upstream may know them.
std::string Declared(const Connection& connection, json::Value capabilities) {
  if (connection.settings.server_requests) return std::string(capabilities.raw());
  std::string out = "{";
  for (json::Value v = capabilities.first(); v; v = v.next()) {
    if (v.key() == "sampling" || v.key() == "elicitation" || v.key() == "roots") continue;
    if (out.size() > 1) out += ',';
    out.append(v.raw_key()).append(":").append(v.raw());
  }
  return out += '}';
}

}  // namespace

Result<std::shared_ptr<UpstreamPeer>> ModernPeer(Caller& caller, const Place& place,
                                                 const MaskRules& rules, json::Value meta) {
  ClientFace face{.revision = Revision::r2026_07_28,
                  .capabilities = Declared(*place.connection, meta[kMetaClientCapabilities]),
                  .caller = caller.session};
  const std::string_view info = meta[kMetaClientInfo].raw();
  if (info.starts_with('{') && !HoldsSecret(rules, info)) face.info = info;
  const std::string key = face.capabilities + '\n' + face.info;
  if (const auto it = caller.peers.find(key); it != caller.peers.end()) return it->second;
  if (caller.peers.size() >= kMaxPeers) {
    const auto free =
        std::ranges::find_if(caller.peers, [](const auto& p) { return p.second.use_count() == 1; });
    if (free == caller.peers.end()) return Fail(Errc::limit_exceeded);
    free->second->Close();
    caller.peers.erase(free);
  }
  return caller.peers[key] = place.upstream->Open(std::move(face));
}

namespace {

/// The client asks again for a call that waits for an approval ("h<round>:<approval id>") or for
/// its person's account ("l<round>:<link id>"). What it brings belongs to that and not to the call,
/// so it is taken out of the request.
Result<> AskedAgain(Call& call, std::string_view held) {
  const bool link = held.front() == 'l';
  held.remove_prefix(1);
  uint32_t round = 0;
  (void)std::from_chars(held.data(), held.data() + held.size(), round);
  (link ? call.link_round : call.hold_round) = std::max(round, 1u);
  if (link) call.link_before = held.substr(std::min(held.find(':'), held.size() - 1) + 1);
  const json::Value answers = call.message.params["inputResponses"];
  call.hold_declined = answers["approval"]["action"].string() == "decline";
  call.link_declined = link && answers["link"]["action"].string().value_or("accept") != "accept";
  std::string params = "{";
  MemberScan scan(call.message.params.raw());
  while (scan.Next()) {
    if (scan.key() == "requestState" || scan.key() == "inputResponses") continue;
    if (params.size() > 1) params += ',';
    params.append(call.message.params.raw().substr(scan.begin(), scan.end() - scan.begin()));
  }
  if (!scan.ok()) return Fail(Errc::internal);
  JsonEdit edit(call.in->text);
  edit.Replace(call.message.params, params + '}');
  auto in = std::make_shared<Incoming>();
  in->text = edit.Apply();
  SALLYPORT_TRY(in->document,
                json::Document::Parse(in->text, {.max_depth = call.settings->limits.json_depth}));
  SALLYPORT_TRY(call.message, ReadClientMessage(in->document.root()));
  call.in = std::move(in);
  return {};
}

/// Opens the handles that the client brings back: requestState and task ids. `parked` gets the id
/// of a call that waits here for this request.
Result<> OpenHandles(Call& call, std::string& parked) {
  const op::Principal& who = call.session->who;
  const Nanos now = call.front.options.clock.WallNow();
  std::string upstream_state;
  if (const json::Value state = call.message.params["requestState"]) {
    const auto text = state.string();
    const auto opened =
        text ? call.front.sealed->Open(
                   RequestBinding(who, call.place.connection->name, call.message), *text, now)
             : std::nullopt;
    if (!opened || opened->empty()) return Fail(Errc::state_invalid);
    if (opened->front() == 'p') {
      parked = opened->substr(1);
      return {};
    }
    if (opened->front() == 'h' || opened->front() == 'l') {
      SALLYPORT_CHECK(AskedAgain(call, *opened));
    } else {
      upstream_state = json::Quote(std::string_view(*opened).substr(1));
    }
  }
  const json::Value params = call.message.params;
  JsonEdit edit(call.in->text);
  if (!upstream_state.empty()) edit.Replace(params["requestState"], std::move(upstream_state));
  if (call.message.method.starts_with("tasks/")) {
    const auto can = json::Document::Parse(call.can);
    if (!can || !can->root()["extensions"]["io.modelcontextprotocol/tasks"]) {
      return Fail(Errc::capability_missing,
                  R"({"extensions":{"io.modelcontextprotocol/tasks":{}}})");
    }
    const auto text = params["taskId"].string();
    if (text) call.gate_task = OpenGateTask(call, *text);
    if (call.gate_task) return {};
    const auto opened =
        text ? call.front.sealed->Open(TaskBinding(who, call.place.connection->name), *text, now)
             : std::nullopt;
    const size_t line = opened ? opened->find('\n') : std::string::npos;
    if (line == std::string::npos) return Fail(Errc::task_unknown);
    call.task_tool = opened->substr(0, line);
    if (!call.front.options.gate.rules()->Visible(who, call.place.connection->name,
                                                  call.place.connection->labels,
                                                  op::Verb::tool_call, call.task_tool)) {
      return Fail(Errc::task_unknown);
    }
    call.upstream_name = opened->substr(line + 1);
    edit.Replace(params["taskId"], json::Quote(call.upstream_name));
  }
  const json::Value capabilities = params["_meta"][kMetaClientCapabilities];
  if (!call.place.connection->settings.server_requests) {
    edit.Replace(capabilities, Declared(*call.place.connection, capabilities));
  }
  if (!edit.empty()) {
    const std::string text = edit.Apply();
    const auto doc = json::Document::Parse(text);
    if (!doc) return Fail(Errc::internal);
    call.params = doc->root()["params"].raw();
  }
  return {};
}

boost::asio::awaitable<void> ResumeThere(ShardState& shard, std::string id,
                                         const std::string& binding,
                                         const std::shared_ptr<const Incoming>& in,
                                         const ClientMessage& message,
                                         std::shared_ptr<CallStream>& out,
                                         std::shared_ptr<Call>& call) {
  const auto parked = shard.parked.Take(id);
  if (!parked || !parked->call || parked->binding != binding) co_return;
  const auto stream = std::make_shared<CallStream>(shard.executor, 0);
  call = parked->call;
  if (Resume(shard.parked, parked, in, message, stream)) out = stream;
}

std::function<void()> CancelOnGone(const std::shared_ptr<Call>& call) {
  return [weak = std::weak_ptr(call)] {
    if (const auto c = weak.lock()) c->out->Abandon(), c->Cancel();
  };
}

/// Continues a call that waits for this request, on whatever shard it waits.
boost::asio::awaitable<void> ServeResumed(Visit& visit, const Call& request,
                                          std::string_view handle) {
  const auto refuse = [&] {
    return RefuseVisit(visit, Error(Errc::state_invalid), request.reply_id);
  };
  const size_t colon = handle.find(':');
  const size_t index =
      colon == std::string_view::npos ? visit.front.shards.size() : std::stoul(std::string(handle));
  if (index >= visit.front.shards.size()) co_return co_await refuse();
  ShardState& home = *visit.front.shards[index];
  const std::string binding =
      RequestBinding(request.session->who, visit.connection.name, request.message);
  std::shared_ptr<CallStream> stream;
  std::shared_ptr<Call> call;
  co_await RunOn(home.executor, [&] {
    return ResumeThere(home, std::string(handle.substr(colon + 1)), binding, request.in,
                       request.message, stream, call);
  });
  if (!stream) co_return co_await refuse();
  PumpStyle style;
  style.gone = CancelOnGone(call);
  co_await Pump(visit.exchange, std::move(stream), home.executor, std::move(style));
}

}  // namespace

std::shared_ptr<Call> MakeModernCall(Visit& visit, const CallerPtr& caller,
                                     std::shared_ptr<const Incoming> in,
                                     const ClientMessage& message) {
  auto call =
      std::make_shared<Call>(visit.front, visit.front.PlaceOf(visit.connection, visit.shard));
  const json::Value meta = message.params["_meta"];
  call->settings = visit.settings;
  call->rules = visit.rules();
  call->session = caller->session;
  call->credential = visit.token;
  call->can = meta[kMetaClientCapabilities].raw();
  call->ask = AskByParking;
  call->revision = Revision::r2026_07_28;
  call->in = std::move(in);
  call->message = message;
  call->reply_id = message.id;
  call->param_headers = net::Headers();
  for (auto& [name, value] : ParamHeaders(visit.request().headers))
    call->param_headers.Add(name, value);
  call->wants_log = static_cast<bool>(meta[kMetaLogLevel]);
  call->out = std::make_shared<CallStream>(visit.shard.executor, 0);
  return call;
}

boost::asio::awaitable<void> ServeModern(Visit& visit, std::shared_ptr<Incoming> in) {
  const json::Value root = in->document.root();
  if (root.is(json::Kind::array)) co_return co_await RefuseVisit(visit, Error(Errc::batch_refused));
  const auto read = ReadClientMessage(root);
  if (!read) co_return co_await RefuseVisit(visit, read.error());
  ClientMessage message = *read;
  if (message.kind == ClientMessage::Kind::response) {
    co_return co_await RefuseVisit(
        visit, Error(Errc::request_malformed, "clients send no responses in this version"));
  }
  // This revision has no notification that a client sends over HTTP: taken, and of no effect.
  if (message.kind == ClientMessage::Kind::notification)
    co_return co_await SendAccepted(visit.exchange);
  const json::Value token = message.params["_meta"]["progressToken"];
  if (HoldsSecret(visit.rules(), message.id) || HoldsSecret(visit.rules(), token.raw())) {
    co_return co_await RefuseVisit(
        visit, Error(Errc::request_malformed, "a card number cannot serve as an id"));
  }
  if (auto refused = CheckEnvelope(visit, message)) {
    co_return co_await RefuseVisit(visit, refused->first, std::move(refused->second), message.id);
  }
  const auto verb = VerbOf(message.method, true);
  if (!verb) co_return co_await RefuseVisit(visit, Error(Errc::method_unknown), message.id);
  if (!NameSource(message).string() &&
      (message.method == "tools/call" || message.method == "prompts/get" ||
       message.method == "resources/read" || message.method.starts_with("tasks/"))) {
    WireAnswer answer = ToWire(Error(Errc::request_malformed), {});
    answer.json = ErrorObject(kInvalidParams, "Invalid params: the name is missing");
    co_return co_await RefuseVisit(visit, Error(Errc::request_malformed), std::move(answer),
                                   message.id);
  }
  auto caller = co_await ModernCaller(visit, message);
  if (!caller) co_return co_await SendError(visit.exchange, caller.error(), message.id);
  if (message.method == "subscriptions/listen")
    co_return co_await ServeListen(visit, in, message, std::move(*caller));

  auto call = MakeModernCall(visit, *caller, in, message);
  call->verb = *verb;
  std::string parked;
  if (const auto opened = OpenHandles(*call, parked); !opened) {
    WireAnswer answer = opened.error().code == Errc::capability_missing
                            ? MissingCapability(opened.error().detail)
                            : ToWire(opened.error(), call->wire());
    co_return co_await RefuseVisit(visit, opened.error(), std::move(answer), message.id);
  }
  if (!parked.empty()) co_return co_await ServeResumed(visit, *call, parked);
  auto slot =
      LoadSlot::Take((*caller)->load, &CallerLoad::calls, visit.settings->limits.calls_per_caller);
  auto peer = slot ? ModernPeer(**caller, call->place, call->rules, message.params["_meta"])
                   : Result<std::shared_ptr<UpstreamPeer>>(Fail(Errc::limit_exceeded));
  if (!peer) {
    WireAnswer answer = ToWire(peer.error(), {});
    answer.headers.Add("Retry-After", "1");
    co_return co_await RefuseVisit(visit, peer.error(), std::move(answer), message.id);
  }
  call->slot = std::move(*slot);
  call->peer = std::move(*peer);
  PumpStyle style;
  style.gone = CancelOnGone(call);
  const auto stream = call->out;
  net::Spawn(visit.shard.executor, RunCall(std::move(call)));
  co_await Pump(visit.exchange, stream, visit.shard.executor, std::move(style));
}

}  // namespace sallyport::mcp
