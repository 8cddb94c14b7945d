#include <charconv>

#include "mcp/answer_http.h"
#include "mcp/hop.h"
#include "mcp/legacy.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxListeners = 8;

struct Opened {
  std::optional<Error> refused;
  std::shared_ptr<CallStream> stream;
  LoadSlot slot;
  PumpStyle style;
};

/// "<stream>-<number>".
std::optional<std::pair<uint64_t, uint64_t>> ReadEventId(std::string_view id) {
  uint64_t stream = 0, number = 0;
  const char* end = id.data() + id.size();
  const auto a = std::from_chars(id.data(), end, stream);
  if (a.ec != std::errc() || a.ptr == end || *a.ptr != '-') return std::nullopt;
  const auto b = std::from_chars(a.ptr + 1, end, number);
  if (b.ec != std::errc() || b.ptr != end) return std::nullopt;
  return std::pair(stream, number);
}

boost::asio::awaitable<void> OpenThere(Visit& visit, ShardState& home, std::string_view id,
                                       std::optional<std::string_view> last_event, Opened& opened) {
  const auto found = FindSession(visit, home, id);
  if (!found) co_return void(opened.refused = found.error());
  LegacySession& session = **found;
  auto slot =
      LoadSlot::Take(session.load, &CallerLoad::streams, visit.settings->limits.streams_per_caller);
  if (!slot) co_return void(opened.refused = Error(Errc::limit_exceeded));
  opened.slot = std::move(*slot);
  opened.style.at_once = true;
  opened.style.prime = session.revision >= Revision::r2025_11_25;
  uint64_t number = 0;
  if (last_event) {
    const auto event = ReadEventId(*last_event);
    const auto known = event ? session.streams.find(event->first) : session.streams.end();
    if (known == session.streams.end() || !known->second->Has(event->second)) {
      co_return void(opened.refused = Error(Errc::event_unknown));
    }
    number = event->first;
    opened.stream = known->second;
    opened.style.seen = event->second;
    opened.style.prime = false;
  } else if (visit.front.streams_ended.load()) {
    co_return void(opened.refused = Error(Errc::draining));
  } else {
    opened.stream =
        std::make_shared<CallStream>(home.executor, visit.settings->limits.replay_events);
    number = session.KeepStream(opened.stream);
    std::erase_if(session.listeners, [](const auto& l) { return l.second->abandoned(); });
    while (session.listeners.size() >= kMaxListeners) {
      session.listeners.front().second->Abandon();
      session.streams.erase(session.listeners.front().first);
      session.listeners.pop_front();
    }
    session.listeners.emplace_back(number, opened.stream);
    for (; !session.backlog.empty(); session.backlog.pop_front()) {
      (void)co_await opened.stream->Push(std::move(session.backlog.front()));
    }
    if (!session.listening) {
      session.listening = true;
      net::Spawn(home.executor, ListenForSession(visit.front, home, *found, visit.settings));
    }
  }
  opened.style.id_prefix = std::to_string(number) + '-';
}

boost::asio::awaitable<void> EndThere(Visit& visit, ShardState& home, std::string_view id,
                                      std::optional<Error>& refused) {
  const auto session = FindSession(visit, home, id);
  if (!session) co_return void(refused = session.error());
  home.sessions.Take(id)->Close(visit.front.options.gate);
}

}  // namespace

boost::asio::awaitable<void> ServeLegacyGet(Visit& visit) {
  const net::Headers& headers = visit.request().headers;
  const auto accept = headers.Find("Accept");
  if (accept && accept->find("text/event-stream") == std::string_view::npos &&
      accept->find("*/*") == std::string_view::npos) {
    WireAnswer answer =
        ToWire(Error(Errc::header_invalid, "Accept must list text/event-stream"), {});
    answer.status = 406;
    co_return co_await RefuseVisit(visit, Error(Errc::header_invalid), std::move(answer), {});
  }
  const auto id = SessionIdOf(visit);
  if (!id) co_return co_await RefuseVisit(visit, id.error());
  const auto home = HomeOf(visit, *id);
  if (!home) co_return co_await RefuseVisit(visit, home.error());
  Opened opened;
  const auto last_event = headers.Find("Last-Event-ID");
  co_await RunOn((*home)->executor,
                 [&] { return OpenThere(visit, **home, *id, last_event, opened); });
  if (opened.refused) co_return co_await RefuseVisit(visit, *opened.refused);
  co_await Pump(visit.exchange, std::move(opened.stream), (*home)->executor,
                std::move(opened.style));
}

boost::asio::awaitable<void> ServeLegacyDelete(Visit& visit) {
  const auto id = SessionIdOf(visit);
  if (!id) co_return co_await RefuseVisit(visit, id.error());
  const auto home = HomeOf(visit, *id);
  if (!home) co_return co_await RefuseVisit(visit, home.error());
  std::optional<Error> refused;
  co_await RunOn((*home)->executor, [&] { return EndThere(visit, **home, *id, refused); });
  if (refused) co_return co_await RefuseVisit(visit, *refused);
  (void)co_await visit.exchange.Respond(204, {}, {});
}

}  // namespace sallyport::mcp
