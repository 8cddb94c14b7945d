#include "pg/frontend.h"

#include "net/event.h"
#include "net/tcp.h"
#include "obs/log.h"
#include "pg/frontend_front.h"
#include "pg/session.h"

namespace sallyport::pg {
namespace {

boost::asio::awaitable<void> RefreshCatalog(Place& place) {
  (void)co_await place.catalog.Newer(place.catalog.version());
}

bool Everyone(const op::Session&) { return true; }

}  // namespace

Place::Place(FrontendConnection c, size_t shards, size_t statement_bytes)
    : config(std::move(c)),
      catalog(config.address, config.credentials, config.classified, config.pan_map,
              config.catalog_refresh) {
  for (size_t i = 0; i < std::max<size_t>(shards, 1); ++i) {
    sql::Analyzer::Options options;
    options.limits.max_bytes = statement_bytes;
    options.source_only = config.source_only;
    analyzers.push_back(std::make_unique<sql::Analyzer>(options));
  }
}

Front::Front(FrontendOptions o) : options(std::move(o)) {
  current.store(std::make_shared<const Settings>(Settings{options.masker, options.limits}));
  while (options.public_url.ends_with('/')) options.public_url.pop_back();
  for (const FrontendConnection& c : options.connections) {
    places[c.name] =
        std::make_unique<Place>(c, options.shards.size(), options.limits.statement_bytes);
  }
}

struct Frontend::Impl {
  explicit Impl(FrontendOptions options) : front(std::move(options)) {}
  Front front;
  std::unique_ptr<net::TcpListener> listener;
};

Frontend::Frontend(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Frontend::~Frontend() = default;

Result<std::unique_ptr<Frontend>> Frontend::Make(FrontendOptions options) {
  auto impl = std::make_unique<Impl>(std::move(options));
  Front& front = impl->front;
  net::TcpListener::Options listen;
  listen.address = front.options.address;
  listen.connections = front.options.limits.connections;
  listen.on_accept = [&front](std::shared_ptr<net::Stream> stream, std::string peer) {
    return ServeConnection(front, std::move(stream), std::move(peer));
  };
  SALLYPORT_TRY(impl->listener, net::TcpListener::Listen(front.options.shards, std::move(listen)));
  return std::unique_ptr<Frontend>(new Frontend(std::move(impl)));
}

uint16_t Frontend::port() const { return impl_->listener->port(); }

void Frontend::Reload(std::shared_ptr<const mask::Masker> masker, FrontendLimits limits) {
  impl_->front.current.store(std::make_shared<const Settings>(Settings{std::move(masker), limits}));
}

void Frontend::Drain() {
  impl_->front.draining = true;
  impl_->listener->Drain();
  impl_->front.registry.ForEach(Everyone, [](Session& session) { session.Drain(); });
}

void Frontend::CloseAll() {
  impl_->front.draining = true;
  impl_->listener->Drain();
  impl_->front.registry.ForEach(Everyone, [](Session& session) {
    session.Stop(Error(Errc::draining, "the gateway is shutting down"));
  });
}

size_t Frontend::Kill(std::function<bool(const op::Principal&)> which, Error why) {
  return impl_->front.registry.ForEach(
      [which = std::move(which)](const op::Session& session) { return which(session.who); },
      [why = std::move(why)](Session& session) { session.Stop(why); });
}

size_t Frontend::Holding(const std::function<bool(const op::Principal&)>& which) const {
  return impl_->front.registry.List([&](const op::Session& session) { return which(session.who); })
      .size();
}

size_t Frontend::EndWithoutRules() {
  Front& front = impl_->front;
  return front.registry.ForEach(
      [&front](const op::Session& session) {
        const auto place = front.places.find(session.connection);
        return place != front.places.end() && !MayEnter(front, *place->second, session.who);
      },
      [](Session& session) {
        session.Stop(Error(Errc::session_ended, "no rule lets you in any more"));
      });
}

void Frontend::Tick() {
  Front& front = impl_->front;
  const auto now = front.options.clock.SteadyNow();
  for (const auto& [name, place] : front.places) {
    if (front.registry.size() > 0 && place->catalog.Due(now))
      net::Spawn(front.options.shards.executor(0), RefreshCatalog(*place));
  }
}

std::vector<SessionInfo> Frontend::sessions() const { return impl_->front.registry.List(); }

std::map<std::string, ConnectionFigures> Frontend::totals() const {
  const auto known = impl_->front.registry.Totals();
  std::map<std::string, ConnectionFigures> totals;
  for (const auto& [name, place] : impl_->front.places) {
    const auto at = known.find(name);
    ConnectionFigures& figures = totals[name];
    if (at != known.end()) figures = at->second;
    for (const PanMap::Entry& entry : place->config.pan_map->entries())
      figures.columns_found += entry.reported;
  }
  return totals;
}

size_t Frontend::active() const { return impl_->front.registry.size(); }

}  // namespace sallyport::pg
