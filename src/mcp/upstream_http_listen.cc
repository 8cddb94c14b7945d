#include "mcp/envelope.h"
#include "mcp/upstream_http_session.h"

namespace sallyport::mcp {
namespace {

constexpr std::chrono::milliseconds kFirstPause(1'000);
constexpr std::chrono::milliseconds kLongestPause(60'000);
constexpr int kFailures = 5;  // in a row

}  // namespace

Task<> HttpSession::ReadStream(HttpReply& reply, UpstreamEvents& events) {
  while (true) {
    SALLYPORT_CO_TRY(auto text, co_await reply.Next());
    if (!text) co_return Result<>();
    SALLYPORT_CO_TRY(const UpstreamMessage message, ReadMessage(*text));
    if (message.kind == UpstreamMessage::Kind::request) {
      SALLYPORT_CO_CHECK(co_await Answer(std::string(message.id), message.method,
                                         std::string(message.body), events));
    } else if (message.kind == UpstreamMessage::Kind::notification) {
      if (message.method == "notifications/cancelled") continue;
      SALLYPORT_CO_CHECK(co_await events.OnNotification(std::move(*text)));
    } else {
      wire_->Stray();
    }
  }
}

Task<> HttpSession::Listen(std::string filter, UpstreamEvents& events) {
  const auto self = shared_from_this();
  SALLYPORT_CO_CHECK(co_await SubscribeTo(*this, std::move(filter)));
  std::string last_id;
  uint64_t stream_of = 0;  // the session that the ids belong to
  auto pause = kFirstPause;
  for (int failures = 0; failures <= kFailures;) {
    SALLYPORT_CO_CHECK(co_await Ensure());
    if (stream_of != generation_) last_id.clear();
    stream_of = generation_;
    net::Headers headers = SessionHeaders(false);
    if (!last_id.empty()) headers.Add("Last-Event-ID", last_id);
    auto reply = co_await wire_->Get(std::move(headers), face_.caller.get());
    ++failures;
    if (reply && (*reply)->status() == 404 && !session_id_.empty()) {
      Forget(stream_of);
      continue;
    }
    if (reply && !(*reply)->ok()) {
      // No such stream (405), or none for us: then there is nothing to hear, which is no failure.
      reply->reset();
      while (!closed_) SALLYPORT_CO_CHECK(co_await net::Sleep(kLongestPause));
      break;
    }
    if (reply) {
      const auto end = co_await ReadStream(**reply, events);
      if (!(*reply)->last_event_id().empty() && (*reply)->last_event_id() != last_id) {
        last_id = (*reply)->last_event_id();
        failures = 0;
      }
      if (!end && end.error().code != Errc::upstream_closed &&
          end.error().code != Errc::upstream_timeout) {
        co_return end;
      }
      if (!end && end.error().code == Errc::upstream_timeout) {
        failures = 0;  // nothing happened, which is no fault: listen on at once
        continue;
      }
      pause = (*reply)->retry() ? std::chrono::milliseconds(*(*reply)->retry()) : kFirstPause;
    } else if (reply.error().code == Errc::cancelled) {
      co_return std::unexpected(reply.error());
    }
    SALLYPORT_CO_CHECK(co_await net::Sleep(std::min(pause, kLongestPause)));
    pause *= 2;
  }
  co_return Fail(Errc::upstream_closed, "the stream of the session has ended");
}

}  // namespace sallyport::mcp
