#include "api/approval_text.h"
#include "api/change_feed.h"
#include "api/endpoints.h"
#include "obs/log.h"

namespace sallyport::api {
namespace {

constexpr std::chrono::seconds kHeartbeat{10};

/// Whether the caller may go on listening: a session that has ended or is locked hears nothing
/// more. Listening itself is no work.
bool MayListen(const Visit& visit) {
  if (visit.caller->live) {
    const auto session = visit.parts.sessions.Find(visit.caller->live->id);
    return session && session->state == access::State::active;
  }
  const op::Principal& who = visit.who();
  return who.expires_at == 0 || visit.parts.clock.WallNow() < who.expires_at;
}

/// Server-sent events: `approval` with a request as GET /api/v1/approvals/<id> gives it, each time
/// it changes. Comments in between keep the line open and show that it is.
Task<> Stream(Visit& visit, ChangeFeed::Follower& follower) {
  net::HttpExchange& exchange = visit.exchange;
  exchange.OnGone([&follower] { follower.queue.Close(); });
  SALLYPORT_CO_CHECK(co_await exchange.Write("retry: 2000\n: here\n\n"));
  const bool role = visit.HasRole({"approver", "auditor", "admin"}, "").has_value();
  for (;;) {
    auto change = co_await follower.queue.Pop(kHeartbeat);
    if (!change && change.error().code != Errc::upstream_timeout)
      co_return std::unexpected(std::move(change.error()));
    if (!MayListen(visit)) co_return Result<>{};
    std::string text = ": here\n\n";
    if (change) {
      if (!*change) co_return Result<>{};
      const approval::Request& request = ***change;
      if (!MaySee(request, visit.who(), role)) continue;
      text = "event: approval\ndata: " + ApprovalJson(*visit.parts.desk, request, visit.who()) +
             "\n\n";
    }
    SALLYPORT_CO_CHECK(co_await exchange.Write(text));
  }
}

boost::asio::awaitable<Reply> Events(Visit& visit) {
  if (visit.parts.desk == nullptr) co_return Problem(Error(Errc::state_unavailable));
  auto place =
      ChangeFeed::Follow(visit.parts.changes, visit.who().issuer + "\n" + visit.who().subject,
                         visit.exchange.executor());
  if (!place) co_return Problem(place.error());
  net::Headers headers{{"Content-Type", "text/event-stream; charset=utf-8"},
                       {"Cache-Control", "no-store"},
                       {"X-Content-Type-Options", "nosniff"},
                       {"Cross-Origin-Resource-Policy", "same-origin"}};
  if (co_await visit.exchange.Begin(200, std::move(headers))) {
    (void)co_await Stream(visit, **place);
    (void)co_await visit.exchange.End();
  }
  visit.exchange.OnGone([] {});
  co_return Reply{.sent = true};
}

}  // namespace

void AddEvents(Router& router) {
  router.Add({.method = "GET", .path = "/api/v1/events", .handler = Events});
}

}  // namespace sallyport::api
