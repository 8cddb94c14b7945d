#include "mcp/legacy.h"
#include "mcp/unmask.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

/// A notification that concerns the upstream: recorded like any other thing that goes there.
boost::asio::awaitable<void> PassNotification(std::shared_ptr<Call> call) {
  op::Operation operation;
  operation.verb = op::Verb::protocol;
  operation.method = call->message.method;
  operation.connection = call->place.connection->name;
  operation.labels = &call->place.connection->labels;
  auto permit = co_await call->front.options.gate.Admit(call->session, operation);
  if (!permit) co_return;
  const auto sent = co_await call->peer->Notify(*permit, std::string(call->message.method),
                                                WithoutUnmask(call->message.params.raw()));
  gate::Settlement settlement;
  settlement.ok = sent.has_value();
  if (!sent) settlement.code = ReasonCode(sent.error().code);
  (void)co_await call->front.options.gate.Settle(std::move(*permit), std::move(settlement));
}

/// Whether the reason of a cancellation is the client's own limit: "Request timed out",
/// "TimeoutError", "MCP error -32001: Request timeout".
bool SaysTimeout(std::string_view reason) {
  std::string text(reason);
  for (char& c : text) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return text.contains("timeout") || text.contains("timed out");
}

}  // namespace

std::shared_ptr<Call> MakeLegacyCall(Front& front, ShardState& home,
                                     const LegacySessionPtr& session,
                                     std::shared_ptr<const Settings> settings,
                                     std::shared_ptr<const Incoming> in,
                                     const ClientMessage& message) {
  auto call = std::make_shared<Call>(front, front.PlaceOf(*session->connection, home));
  call->rules = front.RulesFor(*session->connection, *settings);
  call->session = session->session;
  call->credential = session->credential;
  call->peer = session->peer;
  call->can = session->face.capabilities;
  call->revision = session->revision;
  call->in = std::move(in);
  call->message = message;
  call->reply_id = message.id;
  call->ask = [session, limit = settings->limits.call_timeout,
               keep = settings->limits.replay_events](Call& asking, std::string method,
                                                      std::string params) {
    return session->Ask(asking.out, std::move(method), std::move(params), limit, keep);
  };
  call->settings = std::move(settings);
  return call;
}

void TakeLegacyMessage(Front& front, ShardState& home, const LegacySessionPtr& session,
                       const std::shared_ptr<const Settings>& settings,
                       const std::shared_ptr<const Incoming>& in, const ClientMessage& message) {
  if (message.kind == ClientMessage::Kind::response) {
    const auto question = session->questions.find(std::string(message.id));
    if (question == session->questions.end()) return;  // answered, or given up
    question->second->answer =
        UpstreamAnswer{static_cast<bool>(message.error),
                       std::string((message.error ? message.error : message.result).raw())};
    question->second->answered.Set();
    return;
  }
  if (message.method == "notifications/cancelled") {
    const auto running = session->calls.find(std::string(message.params["requestId"].raw()));
    if (running == session->calls.end()) return;
    const auto call = running->second.lock();
    if (!call) return;
    // SDKs send this too when they have waited long enough. Then a call that waits for an approval
    // is not unwanted: the same call again finds it.
    call->withdraws = !SaysTimeout(message.params["reason"].string().value_or(""));
    call->Cancel();
    return;
  }
  if (message.method == "notifications/roots/list_changed") {
    auto slot =
        LoadSlot::Take(session->load, &CallerLoad::calls, settings->limits.calls_per_caller);
    if (!slot) return;  // as if it came later: the next one says the same
    auto call = MakeLegacyCall(front, home, session, settings, in, message);
    call->slot = std::move(*slot);
    net::Spawn(home.executor, PassNotification(std::move(call)));
  }
}

}  // namespace sallyport::mcp
