#include "mcp/frontend.h"

#include <limits>

#include "mcp/answer_http.h"
#include "mcp/bearer.h"
#include "mcp/call.h"
#include "mcp/era.h"
#include "mcp/front.h"
#include "mcp/frontend_impl.h"
#include "mcp/upstream_bridge.h"
#include "net/cross_origin.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kPrefix = "/mcp/";
constexpr std::string_view kMetadata = "/.well-known/oauth-protected-resource";
constexpr std::chrono::minutes kCallerIdle{15};

std::shared_ptr<const Settings> MakeSettings(const FrontendOptions& options,
                                             const FrontendSettings& given) {
  return std::make_shared<const Settings>(
      Settings{given.masker, given.limits,
               net::OriginCheck(options.public_url, given.allowed_hosts, given.allowed_origins)});
}

/// Which era a message is of: the header says so, or its `_meta`.
bool LooksModern(const net::HttpRequest& request, json::Value root) {
  const auto version = request.headers.Find("MCP-Protocol-Version");
  if (version && *version == RevisionName(Revision::r2026_07_28)) return true;
  return static_cast<bool>(root["params"]["_meta"][kMetaProtocolVersion]);
}

/// Ends the streams without a call whose credential ended before `now`.
void EndStreamsOf(ShardState& shard, Nanos now) {
  std::erase_if(shard.listens, [&](const std::weak_ptr<Call>& weak) {
    const auto call = weak.lock();
    if (!call) return true;
    if (call->session->who.expires_at > now) return false;
    call->Cancel();
    return true;
  });
  shard.sessions.EndListeners(now);
}

/// Calls that wait for an approval look whether they may go on waiting.
void WakeHeld(ShardState& shard) {
  for (const auto& [key, weak] : shard.running) {
    const auto call = weak.lock();
    if (call && call->wake_parked) call->wake_parked();
  }
}

void CloseIdle(Front& front, ShardState& shard) {
  const auto now = front.options.clock.SteadyNow();
  for (const CallerPtr& caller : shard.callers.TakeIdle(now - kCallerIdle)) {
    for (auto& [face, peer] : caller->peers) peer->Close();
  }
  for (const LegacySessionPtr& session :
       shard.sessions.TakeIdle(now - front.settings()->limits.session_idle)) {
    session->Close(front.options.gate);
  }
  std::erase_if(shard.listens, [](const std::weak_ptr<Call>& listen) { return listen.expired(); });
  shard.Count();
}

void CloseShard(Front& front, ShardState& shard) {
  shard.parked.WakeAll();
  WakeHeld(shard);
  for (const LegacySessionPtr& session : shard.sessions.TakeAll())
    session->Close(front.options.gate);
  for (const CallerPtr& caller :
       shard.callers.TakeIdle(std::chrono::steady_clock::time_point::max())) {
    for (auto& [face, peer] : caller->peers) peer->Close();
  }
}

boost::asio::awaitable<void> ServeMetadata(Front& front, net::HttpExchange& exchange,
                                           std::string_view rest) {
  const bool known = rest.empty() || (rest.starts_with(kPrefix) &&
                                      front.connections.contains(rest.substr(kPrefix.size())));
  if (!known) co_return co_await SendError(exchange, Error(Errc::not_found));
  if (exchange.request().method != "GET")
    co_return co_await SendError(exchange, Error(Errc::method_not_allowed));
  net::Headers headers{{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  const std::string_view name = rest.empty() ? std::string_view() : rest.substr(kPrefix.size());
  (void)co_await exchange.Respond(200, std::move(headers), ResourceMetadata(front, name));
}

boost::asio::awaitable<void> ServePost(Visit& visit) {
  const net::HttpRequest& request = visit.request();
  const auto type = request.headers.Find("Content-Type");
  if (!type || !net::SameName(type->substr(0, type->find(';')), "application/json")) {
    WireAnswer answer =
        ToWire(Error(Errc::header_invalid, "Content-Type must be application/json"), {});
    answer.status = 415;
    co_return co_await RefuseVisit(visit, Error(Errc::header_invalid), std::move(answer), {});
  }
  const auto accept = request.headers.Find("Accept");
  const auto takes = [&](std::string_view what, std::string_view any) {
    return accept->find(what) != std::string_view::npos ||
           accept->find(any) != std::string_view::npos ||
           accept->find("*/*") != std::string_view::npos;
  };
  if (accept &&
      !(takes("application/json", "application/*") && takes("text/event-stream", "text/*"))) {
    WireAnswer answer = ToWire(
        Error(Errc::header_invalid, "Accept must list application/json and text/event-stream"), {});
    answer.status = 406;
    co_return co_await RefuseVisit(visit, Error(Errc::header_invalid), std::move(answer), {});
  }
  const auto in = std::make_shared<Incoming>();
  in->text = request.body;
  if (const auto parent = request.headers.Find("traceparent")) in->traceparent = *parent;
  auto document = json::Document::Parse(in->text, {.max_depth = visit.settings->limits.json_depth});
  if (!document) {
    WireAnswer answer = ToWire(document.error(), {});
    if (document.error().code == Errc::request_malformed) {
      answer.json = ErrorObject(kParseError, "Parse error");
    }
    co_return co_await RefuseVisit(visit, document.error(), std::move(answer), {});
  }
  in->document = std::move(*document);
  if (LooksModern(request, in->document.root()))
    co_await ServeModern(visit, in);
  else
    co_await ServeLegacyPost(visit, in);
}

}  // namespace

Frontend::Frontend(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Frontend::~Frontend() = default;

Result<std::unique_ptr<Frontend>> Frontend::Make(FrontendOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  Front& front = impl->front;
  while (front.options.public_url.ends_with('/')) front.options.public_url.pop_back();
  front.current.store(MakeSettings(front.options, front.options.settings));
  SALLYPORT_TRY(front.sealed, SealedState::Make(front.options.state_dir));
  for (FrontendConnection& c : front.options.connections) {
    SALLYPORT_TRY(front.connections[c.config.name],
                  Connection::Make(c.config, front.options.state_dir));
    front.factories[c.config.name] = &c;
  }
  for (size_t i = 0; i < front.options.shards.size(); ++i) {
    front.shards.push_back(std::make_unique<ShardState>());
    front.shards.back()->index = i;
    front.shards.back()->executor = front.options.shards.executor(i);
  }
  return std::unique_ptr<Frontend>(new Frontend(std::move(impl)));
}

void Frontend::Reload(FrontendSettings settings) {
  impl_->front.current.store(MakeSettings(impl_->front.options, settings));
}

void Frontend::EndStreams() {
  impl_->front.streams_ended.store(true);
  for (auto& shard : impl_->front.shards)
    net::Post(shard->executor, [s = shard.get()] {
      EndStreamsOf(*s, std::numeric_limits<Nanos>::max());
      WakeHeld(*s);
    });
}

void Frontend::CloseAll() {
  impl_->front.draining.store(true);
  for (auto& shard : impl_->front.shards) {
    net::Post(shard->executor,
              [front = &impl_->front, s = shard.get()] { CloseShard(*front, *s); });
  }
}

void Frontend::Tick() {
  for (auto& shard : impl_->front.shards) {
    net::Post(shard->executor, [front = &impl_->front, s = shard.get()] { CloseIdle(*front, *s); });
  }
}

FrontendStats Frontend::stats() const {
  FrontendStats stats;
  for (const auto& shard : impl_->front.shards) {
    stats.sessions += shard->session_count.load();
    stats.callers += shard->caller_count.load();
    stats.parked += shard->parked_count.load();
  }
  return stats;
}

boost::asio::awaitable<void> Frontend::Handle(net::HttpExchange& exchange) {
  Front& front = impl_->front;
  const net::HttpRequest& request = exchange.request();
  const std::string_view path = request.path();
  const auto settings = front.settings();
  std::string_view name =
      path.starts_with(kPrefix) ? path.substr(kPrefix.size()) : std::string_view();
  const auto found = name.empty() ? front.connections.end() : front.connections.find(name);
  if (const auto allowed = settings->origins.Check(request.headers); !allowed) {
    const auto recorded =
        RecordRefused(front, op::EventType::request_refused,
                      found == front.connections.end() ? std::string_view() : name, request.address,
                      nullptr, {}, allowed.error());
    co_return co_await SendError(exchange, recorded ? allowed.error() : recorded.error());
  }
  if (request.headers.Count("Origin") > 0) {
    net::SharedWith(settings->origins.Listed(request.headers), exchange);
    if (settings->origins.Listed(request.headers) != nullptr && net::IsPreflight(request))
      co_return co_await net::AnswerPreflight(exchange, "POST, GET, DELETE");
  }
  if (path.starts_with(kMetadata))
    co_return co_await ServeMetadata(front, exchange, path.substr(kMetadata.size()));
  if (found == front.connections.end())
    co_return co_await SendError(exchange, Error(Errc::not_found));
  if (front.draining.load()) co_return co_await SendError(exchange, Error(Errc::draining));
  auto token = co_await Authenticate(front, request, name);
  if (!token && token.error().code == Errc::session_locked)
    co_return co_await AnswerLocked(front, exchange, name, token.error());
  if (!token) co_return co_await Challenge(front, exchange, name, token.error());

  Visit visit{front, front.here(), *found->second, exchange, std::move(*token), settings};
  if (request.method == "POST") co_return co_await ServePost(visit);
  const bool session =
      request.headers.Find("Mcp-Session-Id").has_value() &&
      request.headers.Find("MCP-Protocol-Version") != RevisionName(Revision::r2026_07_28);
  if (request.method == "GET" && session) co_return co_await ServeLegacyGet(visit);
  if (request.method == "DELETE" && session) co_return co_await ServeLegacyDelete(visit);
  co_await SendError(exchange, Error(Errc::method_not_allowed));
}

}  // namespace sallyport::mcp
