#include "mcp/call_events.h"
#include "mcp/legacy.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

constexpr std::chrono::milliseconds kFirstPause{1'000};
constexpr std::chrono::milliseconds kLongestPause{60'000};

/// A permit for hearing: nothing goes upstream but the wish to be told.
boost::asio::awaitable<std::optional<gate::Permit>> PermitToListen(Call& call) {
  op::Operation operation;
  operation.verb = op::Verb::list;
  operation.effect = op::Effect::read;
  operation.method = "listen";
  operation.connection = call.place.connection->name;
  operation.labels = &call.place.connection->labels;
  auto permit = co_await call.front.options.gate.Admit(call.session, operation);
  if (!permit) co_return std::nullopt;
  co_return std::move(*permit);
}

}  // namespace

boost::asio::awaitable<void> ListenForSession(Front& front, ShardState& home,
                                              LegacySessionPtr session,
                                              std::shared_ptr<const Settings> settings) {
  const size_t keep = settings->limits.replay_events;
  const auto limit = settings->limits.call_timeout;
  const auto call = MakeLegacyCall(front, home, session, std::move(settings), nullptr, {});
  call->tell = [session, keep](std::string message) {
    return session->Tell(std::move(message), keep);
  };
  call->ask = [session, keep, limit](Call&, std::string method, std::string params) {
    return session->Ask(nullptr, std::move(method), std::move(params), limit, keep);
  };
  auto permit = co_await PermitToListen(*call);
  auto pause = kFirstPause;
  while (permit && !session->closed) {
    CallEvents events(*call, *permit);
    const auto ended = co_await session->peer->Listen(*permit, {}, events);
    if (session->closed || (!ended && ended.error().code == Errc::ledger_unavailable)) break;
    if (!co_await net::Sleep(pause)) break;
    pause = std::min(pause * 2, kLongestPause);
  }
  session->listening = false;
  if (!permit) co_return;
  gate::Settlement settlement;
  (void)co_await front.options.gate.Settle(std::move(*permit), std::move(settlement));
}

}  // namespace sallyport::mcp
