#include "mcp/call_events.h"

#include "mcp/envelope.h"
#include "mcp/member_scan.h"

namespace sallyport::mcp {
namespace {

/// Whether a notification belongs on the stream of a call; others never leave.
bool MayPass(const Call& call, std::string_view method) {
  if (method == "notifications/progress") return true;
  if (method == "notifications/message") return call.wants_log;
  if (call.modern()) return false;  // changes go to subscriptions/listen only
  return method == "notifications/resources/updated" ||
         method == "notifications/resources/list_changed" ||
         method == "notifications/prompts/list_changed" ||
         method == "notifications/tools/list_changed" || method == "notifications/tasks/status" ||
         method == "notifications/elicitation/complete";
}

/// Progress goes to the request that waits now: one that brought an answer back (`input_required`)
/// has its own token. False if it asked for none.
bool ForPresentRequest(const Call& call, std::string& params) {
  const std::string_view wanted = call.message.params["_meta"]["progressToken"].raw();
  if (wanted.empty()) return false;
  const std::string_view given = FindMember(params, "progressToken");
  if (given == wanted) return true;
  if (given.empty()) return false;
  params.replace(static_cast<size_t>(given.data() - params.data()), given.size(), wanted);
  return true;
}

/// Progress has to increase; the gateway's own came first where the call waited for an approval.
bool GoesOn(const Call& call, std::string_view params) {
  if (call.progress_told == 0) return true;
  const auto doc = json::Document::Parse(params);
  return doc && doc->root()["progress"].number().value_or(0) > call.progress_told;
}

UpstreamAnswer NotSupported() {
  return {true, ErrorText(kMethodNotFound, "The client does not support this")};
}

}  // namespace

Task<> CallEvents::OnNotification(std::string message) {
  const auto read = ReadMessage(message);
  if (!read || read->kind != UpstreamMessage::Kind::notification) {
    co_return Fail(Errc::upstream_protocol, "not a notification");
  }
  if (read->method == "notifications/tools/list_changed")
    call_.place.connection->catalog.Invalidate();
  if (!MayPass(call_, read->method)) co_return Result<>{};
  if (read->method == "notifications/resources/updated") {
    const std::string uri = Unquote(FindMember(read->body, "uri"));
    if (!call_.front.options.gate.rules()->Visible(call_.session->who, call_.place.connection->name,
                                                   call_.place.connection->labels,
                                                   op::Verb::resource_read, uri)) {
      co_return Result<>{};
    }
  }
  std::string params = read->body.empty() ? "{}" : std::string(read->body);
  if (read->method == "notifications/progress" &&
      (!ForPresentRequest(call_, params) || !GoesOn(call_, params)))
    co_return Result<>{};
  std::vector<std::string> own;
  if (read->method == "notifications/progress") own = {"/progressToken"};
  Result<MaskedMessage> masked = MaskParams(call_.rules, std::move(params), std::move(own));
  if (!masked) {  // it cannot be shown; the call itself goes on
    co_return call_.front.options.gate.Note(permit_, "notification withheld", {}, {});
  }
  SALLYPORT_CO_TRY(op::Payload payload, RecordOf(call_.rules, *masked));
  SALLYPORT_CO_CHECK(call_.front.options.gate.Note(permit_, read->method, std::move(payload),
                                                   std::move(masked->counts)));
  std::string told = MethodMessage({}, read->method, masked->json);
  if (call_.tell) co_return co_await call_.tell(std::move(told));
  co_return co_await call_.out->Push(std::move(told));
}

Task<UpstreamAnswer> CallEvents::OnRequest(std::string method, std::string params) {
  if (method == "ping") co_return UpstreamAnswer{false, "{}"};
  if (params.empty()) params = "{}";
  const auto doc = json::Document::Parse(params);
  if (!doc) co_return Fail(Errc::upstream_protocol, "a request of the upstream cannot be read");
  if (!call_.ask || !call_.place.connection->settings.server_requests ||
      !ClientAnswers(call_.can, method, doc->root())) {
    co_return NotSupported();
  }
  Result<MaskedMessage> masked = MaskParams(call_.rules, std::move(params));
  if (!masked) co_return NotSupported();
  SALLYPORT_CO_TRY(op::Payload payload, RecordOf(call_.rules, *masked));
  SALLYPORT_CO_CHECK(call_.front.options.gate.Note(permit_, method, std::move(payload),
                                                   std::move(masked->counts)));
  SALLYPORT_CO_TRY(UpstreamAnswer answer,
                   co_await call_.ask(call_, method, std::move(masked->json)));
  auto recorded = MaskForRecord(call_.rules, answer.json);
  if (!recorded) co_return Fail(Errc::request_malformed, "the client's answer cannot be read");
  const bool blocked = recorded->blocked;
  SALLYPORT_CO_CHECK(call_.front.options.gate.Note(
      permit_, method + " answered", std::move(recorded->payload), std::move(recorded->counts)));
  if (blocked)
    co_return UpstreamAnswer{true, ErrorText(kInvalidRequest, "The answer was withheld")};
  co_return answer;
}

bool ClientAnswers(std::string_view capabilities, std::string_view method, json::Value params) {
  const auto doc = json::Document::Parse(capabilities);
  if (!doc) return false;
  const json::Value can = doc->root();
  if (method == "sampling/createMessage") return can["sampling"].is(json::Kind::object);
  if (method == "roots/list") return can["roots"].is(json::Kind::object);
  if (method != "elicitation/create") return false;
  const json::Value elicitation = can["elicitation"];
  if (!elicitation.is(json::Kind::object)) return false;
  if (params["mode"].string() == "url") return elicitation["url"].is(json::Kind::object);
  return elicitation["form"] || !elicitation["url"];
}

}  // namespace sallyport::mcp
