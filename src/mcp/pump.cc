#include "mcp/pump.h"

#include "mcp/hop.h"
#include "mcp/sse.h"

namespace sallyport::mcp {
namespace {

constexpr std::chrono::milliseconds kKeepAlive{15'000};
constexpr uint32_t kRetryMs = 1'000;

using Taken = Result<std::optional<Outgoing>>;

boost::asio::awaitable<void> TakeNext(CallStream& stream, uint64_t ticket,
                                      std::chrono::milliseconds limit, Taken& out) {
  out = co_await stream.Next(ticket, limit);
}

boost::asio::awaitable<void> AttachTo(CallStream& stream, uint64_t seen, uint64_t& ticket) {
  ticket = stream.Attach(seen);
  co_return;
}

class Writer {
 public:
  Writer(net::HttpExchange& exchange, PumpStyle style)
      : exchange_(exchange), style_(std::move(style)) {}

  bool begun() const { return begun_; }
  std::chrono::milliseconds patience() const { return begun_ ? kKeepAlive : style_.patience; }

  Task<> Begin() {
    begun_ = true;
    net::Headers headers = style_.headers;
    headers.Add("Content-Type", "text/event-stream");
    headers.Add("Cache-Control", "no-store, no-transform");
    headers.Add("X-Accel-Buffering", "no");
    SALLYPORT_CO_CHECK(co_await exchange_.Begin(200, std::move(headers)));
    std::string first;
    if (style_.prime) {
      first = "id: " + style_.id_prefix + std::to_string(style_.seen) +
              "\nretry: " + std::to_string(kRetryMs) + "\ndata:\n\n";
    } else if (style_.at_once) {
      AppendKeepAlive(first);  // so that the head is on the wire for those who wait for a byte
    }
    if (!first.empty()) SALLYPORT_CO_CHECK(co_await exchange_.Write(first));
    co_return Result<>{};
  }

  Task<> Quiet() {
    if (!begun_) co_return co_await Begin();
    std::string comment;
    AppendKeepAlive(comment);
    co_return co_await exchange_.Write(comment);
  }

  /// True when that was the end.
  Task<bool> Message(Outgoing out) {
    const bool answer = out.last || (style_.collect && IsAnswer(out.json));
    if (answer) ++answers_;
    if (!begun_ && answer && !style_.collect) {
      net::Headers headers = style_.headers;
      for (const auto& [name, value] : out.headers.fields()) headers.Add(name, value);
      headers.Add("Content-Type", "application/json");
      SALLYPORT_CO_CHECK(
          co_await exchange_.Respond(out.status, std::move(headers), std::move(out.json)));
      co_return true;
    }
    if (!begun_ && answer) {
      array_ += array_.empty() ? "[" : ",";
      array_ += out.json;
      if (answers_ < style_.answers) co_return false;
      net::Headers headers = style_.headers;
      headers.Add("Content-Type", "application/json");
      SALLYPORT_CO_CHECK(co_await exchange_.Respond(200, std::move(headers), array_ + ']'));
      co_return true;
    }
    if (!begun_) SALLYPORT_CO_CHECK(co_await Begin());
    std::string event;
    if (!array_.empty()) {  // answers that waited for the others
      array_ += ']';
      AppendEvent(event, array_);
      array_.clear();
    }
    AppendEvent(
        event, out.json,
        style_.id_prefix.empty() ? std::string() : style_.id_prefix + std::to_string(out.number));
    SALLYPORT_CO_CHECK(co_await exchange_.Write(event));
    if (!out.last && !(style_.collect && answers_ >= style_.answers)) co_return false;
    SALLYPORT_CO_CHECK(co_await exchange_.End());
    co_return true;
  }

  Task<> Cut() {  // another reader took over, or the session ended
    if (!begun_) SALLYPORT_CO_CHECK(co_await Begin());
    co_return co_await exchange_.End();
  }

 private:
  static bool IsAnswer(std::string_view json) {
    return json.starts_with(R"({"jsonrpc":"2.0","id":)") &&
           !json.substr(0, 512).contains(R"(,"method":)");
  }

  net::HttpExchange& exchange_;
  PumpStyle style_;
  bool begun_ = false;
  size_t answers_ = 0;
  std::string array_;
};

Task<> Drive(net::HttpExchange& exchange, CallStream& stream, boost::asio::any_io_executor home,
             uint64_t ticket, PumpStyle style) {
  const bool near = exchange.executor() == home;
  const bool at_once = style.at_once;
  const auto done = std::move(style.done);
  Writer writer(exchange, std::move(style));
  if (at_once) SALLYPORT_CO_CHECK(co_await writer.Begin());
  while (true) {
    Taken taken;
    const auto limit = writer.patience();
    if (near)
      taken = co_await stream.Next(ticket, limit);
    else
      co_await RunOn(home, [&] { return TakeNext(stream, ticket, limit, taken); });
    if (!taken && taken.error().code == Errc::upstream_timeout) {
      SALLYPORT_CO_CHECK(co_await writer.Quiet());
      continue;
    }
    if (!taken || !*taken) co_return co_await writer.Cut();
    SALLYPORT_CO_TRY(const bool end, co_await writer.Message(std::move(**taken)));
    if (!end) continue;
    if (done && near)
      done(writer.begun());
    else if (done)
      net::Post(home, [done, streamed = writer.begun()] { done(streamed); });
    co_return Result<>{};
  }
}

}  // namespace

boost::asio::awaitable<void> Pump(net::HttpExchange& exchange, std::shared_ptr<CallStream> stream,
                                  boost::asio::any_io_executor home, PumpStyle style) {
  uint64_t ticket = 0;
  if (exchange.executor() == home)
    ticket = stream->Attach(style.seen);
  else
    co_await RunOn(home, [&] { return AttachTo(*stream, style.seen, ticket); });
  const auto left = [home, stream, ticket, gone = style.gone] {
    net::Post(home, [stream, ticket, gone] {
      const bool early = !stream->drained();  // all was delivered: then its going means nothing
      stream->Detach(ticket);
      if (gone && early) gone();
    });
  };
  exchange.OnGone(left);
  const Result<> written = co_await Drive(exchange, *stream, home, ticket, std::move(style));
  if (!written) left();
}

}  // namespace sallyport::mcp
