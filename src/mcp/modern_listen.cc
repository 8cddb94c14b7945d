#include <algorithm>

#include "mcp/answer_http.h"
#include "mcp/call.h"
#include "mcp/envelope.h"
#include "mcp/era.h"
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

constexpr size_t kMaxTopics = 256;
constexpr std::string_view kAcknowledged = "notifications/subscriptions/acknowledged";

/// What a listening client gets: what it asked for, as far as it may have it.
struct Topics {
  bool tools = false, prompts = false, resources = false;
  std::vector<std::string> uris;
  std::map<std::string, std::string> tasks;  // the upstream's id → the client's

  /// As a `notifications` object, with task ids of the upstream or of the client.
  std::string Json(bool for_client) const {
    std::string out = "{";
    const auto add = [&](std::string_view member) {
      if (out.size() > 1) out += ',';
      out.append(member);
    };
    if (tools) add(R"("toolsListChanged":true)");
    if (prompts) add(R"("promptsListChanged":true)");
    if (resources) add(R"("resourcesListChanged":true)");
    const auto list = [&](std::string_view name, const std::vector<std::string>& values) {
      if (values.empty()) return;
      add('"' + std::string(name) + "\":[");
      for (const std::string& value : values) {
        if (out.back() != '[') out += ',';
        json::AppendString(out, value);
      }
      out += ']';
    };
    list("resourceSubscriptions", uris);
    std::vector<std::string> ids;
    for (const auto& [theirs, ours] : tasks) ids.push_back(for_client ? ours : theirs);
    list("taskIds", ids);
    return out += '}';
  }
};

Result<Topics> ReadTopics(const Call& call) {
  const json::Value asked = call.message.params["notifications"];
  if (!asked.is(json::Kind::object))
    return Fail(Errc::request_malformed, "a listen request names its notifications");
  Topics topics;
  topics.tools = asked["toolsListChanged"].boolean().value_or(false);
  topics.prompts = asked["promptsListChanged"].boolean().value_or(false);
  topics.resources = asked["resourcesListChanged"].boolean().value_or(false);
  const Connection& connection = *call.place.connection;
  const auto rules = call.front.options.gate.rules();
  if (asked["resourceSubscriptions"].size() + asked["taskIds"].size() > kMaxTopics)
    return Fail(Errc::limit_exceeded);
  for (json::Value v = asked["resourceSubscriptions"].first(); v; v = v.next()) {
    const auto uri = v.string();
    if (!uri || HoldsSecret(call.rules, *uri)) continue;
    if (rules->Visible(call.session->who, connection.name, connection.labels,
                       op::Verb::resource_read, *uri)) {
      topics.uris.emplace_back(*uri);
    }
  }
  if (asked["taskIds"]) {
    const auto can = json::Document::Parse(call.can);
    if (!can || !can->root()["extensions"]["io.modelcontextprotocol/tasks"]) {
      return Fail(Errc::capability_missing,
                  R"({"extensions":{"io.modelcontextprotocol/tasks":{}}})");
    }
    for (json::Value v = asked["taskIds"].first(); v; v = v.next()) {
      const auto opened =
          call.front.sealed->Open(TaskBinding(call.session->who, connection.name),
                                  v.string().value_or(""), call.front.options.clock.WallNow());
      const size_t line = opened ? opened->find('\n') : std::string::npos;
      if (line != std::string::npos &&
          rules->Visible(call.session->who, connection.name, connection.labels, op::Verb::tool_call,
                         opened->substr(0, line)))
        topics.tasks[opened->substr(line + 1)] = std::string(*v.string());
    }
  }
  return topics;
}

class Listener final : public UpstreamEvents {
 public:
  Listener(Call& call, const gate::Permit& permit, Topics topics)
      : call_(call), permit_(permit), topics_(std::move(topics)) {}

  /// The acknowledgement has to be the first message.
  Task<> Acknowledge() {
    if (std::exchange(acknowledged_, true)) co_return Result<>{};
    co_return co_await Send(kAcknowledged, R"({"notifications":)" + topics_.Json(true) + '}');
  }

  Task<> OnNotification(std::string message) override {
    const auto read = ReadMessage(message);
    if (!read || read->kind != UpstreamMessage::Kind::notification)
      co_return Fail(Errc::upstream_protocol);
    if (read->method == kAcknowledged) {
      Narrow(read->body);
      co_return co_await Acknowledge();
    }
    if (read->method == "notifications/tools/list_changed")
      call_.place.connection->catalog.Invalidate();
    std::string params = read->body.empty() ? "{}" : std::string(read->body);
    if (!Wanted(read->method, params)) co_return Result<>{};
    SALLYPORT_CO_CHECK(co_await Acknowledge());
    co_return co_await Send(read->method, std::move(params));
  }

  Task<UpstreamAnswer> OnRequest(std::string, std::string) override {
    co_return UpstreamAnswer{
        true, ErrorText(kMethodNotFound, "The client cannot be asked on this stream")};
  }

 private:
  /// Keeps what the upstream has agreed to.
  void Narrow(std::string_view params) {
    const auto doc = json::Document::Parse(params);
    if (!doc) return;
    const json::Value agreed = doc->root()["notifications"];
    topics_.tools &= agreed["toolsListChanged"].boolean().value_or(false);
    topics_.prompts &= agreed["promptsListChanged"].boolean().value_or(false);
    topics_.resources &= agreed["resourcesListChanged"].boolean().value_or(false);
    const auto has = [](json::Value list, std::string_view text) {
      for (json::Value v = list.first(); v; v = v.next()) {
        if (v.string() == text) return true;
      }
      return false;
    };
    std::erase_if(topics_.uris, [&](const std::string& uri) {
      return !has(agreed["resourceSubscriptions"], uri);
    });
    std::erase_if(topics_.tasks,
                  [&](const auto& task) { return !has(agreed["taskIds"], task.first); });
  }

  /// Exactly what was asked for; a task's id becomes the one that the client knows.
  bool Wanted(std::string_view method, std::string& params) {
    if (method == "notifications/tools/list_changed") return topics_.tools;
    if (method == "notifications/prompts/list_changed") return topics_.prompts;
    if (method == "notifications/resources/list_changed") return topics_.resources;
    if (method == "notifications/resources/updated") {
      const std::string uri = Unquote(FindMember(params, "uri"));
      return std::ranges::find(topics_.uris, uri) != topics_.uris.end();
    }
    if (method != "notifications/tasks") return false;
    const auto task = topics_.tasks.find(Unquote(FindMember(params, "taskId")));
    const auto doc = json::Document::Parse(params);
    if (task == topics_.tasks.end() || !doc) return false;
    JsonEdit edit(params);
    edit.Replace(doc->root()["taskId"], json::Quote(task->second));
    params = edit.Apply();
    return true;
  }

  Task<> Send(std::string_view method, std::string params) {
    const auto doc = json::Document::Parse(params);
    if (!doc || !doc->root().is(json::Kind::object)) co_return Fail(Errc::upstream_protocol);
    JsonEdit edit(params);
    const json::Value meta = doc->root()["_meta"];
    if (meta.is(json::Kind::object))
      SetMember(edit, meta, kMetaSubscriptionId, call_.reply_id);
    else
      SetMember(edit, doc->root(), "_meta",
                R"({")" + std::string(kMetaSubscriptionId) + "\":" + call_.reply_id + '}');
    std::vector<std::string> own = {Pointer("/_meta", kMetaSubscriptionId)};
    if (method == "notifications/tasks") own.emplace_back("/taskId");
    auto masked = MaskParams(call_.rules, edit.Apply(), std::move(own));
    if (!masked) co_return call_.front.options.gate.Note(permit_, "notification withheld", {}, {});
    SALLYPORT_CO_TRY(op::Payload payload, RecordOf(call_.rules, *masked));
    SALLYPORT_CO_CHECK(call_.front.options.gate.Note(permit_, method, std::move(payload),
                                                     std::move(masked->counts)));
    co_return co_await call_.out->Push(MethodMessage({}, method, masked->json));
  }

  Call& call_;
  const gate::Permit& permit_;
  Topics topics_;
  bool acknowledged_ = false;
};

/// What a server of the session eras announces; it acknowledges nothing itself.
void NarrowByFace(const UpstreamFace& face, Topics& topics) {
  const auto doc = json::Document::Parse(face.capabilities);
  if (!doc) return;
  const json::Value can = doc->root();
  topics.tools &= can["tools"]["listChanged"].boolean().value_or(false);
  topics.prompts &= can["prompts"]["listChanged"].boolean().value_or(false);
  topics.resources &= can["resources"]["listChanged"].boolean().value_or(false);
  if (!can["resources"]["subscribe"].boolean().value_or(false)) topics.uris.clear();
  topics.tasks.clear();
}

Task<> Listen(Call& call, const gate::Permit& permit, Topics topics) {
  SALLYPORT_CO_TRY(const UpstreamFace face,
                   co_await call.place.upstream->Describe(permit, call.revision, false));
  const bool modern = std::ranges::any_of(face.revisions, IsModern);
  if (!modern) NarrowByFace(face, topics);
  Listener listener(call, permit, topics);
  if (!modern) SALLYPORT_CO_CHECK(co_await listener.Acknowledge());
  if (topics.Json(false) == "{}") co_return co_await listener.Acknowledge();  // nothing to wait for
  if (call.cancelled) co_return Fail(Errc::cancelled);
  call.token = call.peer->NextToken();
  call.calling = true;
  const auto ended = co_await call.peer->Listen(permit, topics.Json(false), listener);
  call.calling = false;
  SALLYPORT_CO_CHECK(co_await listener.Acknowledge());
  co_return ended;
}

boost::asio::awaitable<void> RunListen(std::shared_ptr<Call> call, Topics topics) {
  Outgoing out;
  auto operation =
      ToOperation(*call->place.connection, call->message, op::Verb::list, call->rules, nullptr);
  if (!operation) {
    out.json = ErrorMessage(call->reply_id, ToWire(operation.error(), call->wire()).json);
    co_return call->out->Finish(std::move(out));
  }
  auto permit = co_await call->front.options.gate.Admit(call->session, *operation);
  if (!permit) {
    out.json = ErrorMessage(call->reply_id, ToWire(permit.error(), call->wire()).json);
    co_return call->out->Finish(std::move(out));
  }
  const auto ended = co_await Listen(*call, *permit, std::move(topics));
  gate::Settlement settlement;
  const bool closed =
      ended || ended.error().code == Errc::upstream_closed || ended.error().code == Errc::cancelled;
  settlement.ok = closed;
  if (!closed) settlement.code = ReasonCode(ended.error().code);
  const auto settled =
      co_await call->front.options.gate.Settle(std::move(*permit), std::move(settlement));
  if (closed && settled) {
    out.json = ResultMessage(call->reply_id, R"({"resultType":"complete","_meta":{")" +
                                                 std::string(kMetaSubscriptionId) +
                                                 "\":" + call->reply_id + "}}");
  } else {
    const Error& error = settled ? ended.error() : settled.error();
    out.json = ErrorMessage(call->reply_id, ToWire(error, call->wire()).json);
  }
  call->out->Finish(std::move(out));
}

}  // namespace

boost::asio::awaitable<void> ServeListen(Visit& visit, std::shared_ptr<Incoming> in,
                                         const ClientMessage& message, CallerPtr caller) {
  auto call = MakeModernCall(visit, caller, in, message);
  call->verb = op::Verb::list;
  auto topics = ReadTopics(*call);
  if (!topics) {
    WireAnswer answer = topics.error().code == Errc::capability_missing
                            ? MissingCapability(topics.error().detail)
                            : ToWire(topics.error(), {});
    if (topics.error().code == Errc::request_malformed)
      answer.json = ErrorObject(kInvalidParams, "Invalid params");
    co_return co_await RefuseVisit(visit, topics.error(), std::move(answer), message.id);
  }
  auto slot =
      LoadSlot::Take(caller->load, &CallerLoad::streams, visit.settings->limits.streams_per_caller);
  auto peer = slot ? ModernPeer(*caller, call->place, call->rules, message.params["_meta"])
                   : Result<std::shared_ptr<UpstreamPeer>>(Fail(Errc::limit_exceeded));
  if (!peer) co_return co_await RefuseVisit(visit, peer.error(), message.id);
  call->slot = std::move(*slot);
  call->peer = std::move(*peer);
  if (visit.front.streams_ended.load())
    co_return co_await RefuseVisit(visit, Error(Errc::draining), message.id);
  std::erase_if(visit.shard.listens, [](const auto& listen) { return listen.expired(); });
  visit.shard.listens.push_back(call);
  if (const auto holds = visit.front.options.verifier.Holds(*visit.token); !holds)
    co_return co_await RefuseVisit(visit, holds.error(), message.id);
  PumpStyle style;
  style.at_once = true;
  style.gone = [weak = std::weak_ptr(call)] {
    if (const auto c = weak.lock()) c->out->Abandon(), c->Cancel();
  };
  const auto stream = call->out;
  net::Spawn(visit.shard.executor, RunListen(std::move(call), std::move(*topics)));
  co_await Pump(visit.exchange, stream, visit.shard.executor, std::move(style));
}

}  // namespace sallyport::mcp
