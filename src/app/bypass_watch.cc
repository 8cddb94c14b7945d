#include "app/bypass_watch.h"

#include <algorithm>
#include <map>
#include <mutex>

#include "app/databases.h"
#include "app/facts.h"
#include "base/clock.h"
#include "net/event.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "pg/bypass.h"

namespace sallyport::app {

/// One connection, and what is known of it. The figures under `mutex`, the rest on its shard.
struct BypassWatch::Place {
  std::string connection;
  std::shared_ptr<const pg::ServerAddress> address;
  std::shared_ptr<pg::Credentials> credentials;
  std::chrono::milliseconds every{0};
  std::vector<IpNetwork> expected;

  struct Finding {
    pg::Foreign session;
    std::chrono::steady_clock::time_point found;
  };
  std::map<std::string, Finding> here;

  mutable std::mutex mutex;
  std::string trouble;    // of the last look
  uint64_t sessions = 0;  // others at the last look
  uint64_t found = 0, looks = 0, failed = 0;
};

struct BypassWatch::State {
  Record record;
  std::atomic<std::shared_ptr<const mask::Masker>> masker;
  std::vector<std::unique_ptr<Place>> places;

  Task<std::vector<pg::Foreign>> Look(const Place& place) const;
  void Take(Place& place, const std::vector<pg::Foreign>& others);
  static boost::asio::awaitable<void> Watch(std::shared_ptr<State> self, Place* place);
  Result<> Write(const Place& place, const pg::Foreign& session, bool gone, uint64_t seconds) const;
};

namespace {

/// The login of `reconcile`, where it has one, in place of the connection's.
Result<std::shared_ptr<pg::Credentials>> LoginOf(const config::Root& root,
                                                 const config::Connection& connection,
                                                 std::shared_ptr<const pg::ServerAddress> address,
                                                 const SecretStores& stores) {
  config::Postgres own;
  own.user = connection.postgres->reconcile.user;
  own.password = connection.postgres->reconcile.password;
  return MakeCredentials(connection.name, own, std::move(address), root.evidence.origin, stores);
}

}  // namespace

Result<std::unique_ptr<BypassWatch>> BypassWatch::Make(const config::Root& root,
                                                       const SecretStores& stores,
                                                       const Logins& logins, Record record,
                                                       std::shared_ptr<const mask::Masker> masker) {
  auto state = std::make_shared<State>();
  state->record = std::move(record);
  state->masker = std::move(masker);
  for (const config::Connection& connection : root.connections) {
    if (!connection.postgres || connection.postgres->reconcile.every.count() == 0) continue;
    const config::Reconcile& reconcile = connection.postgres->reconcile;
    auto place = std::make_unique<Place>();
    place->connection = connection.name;
    place->every = reconcile.every;
    SALLYPORT_TRY(place->address, MakeServerAddress(*connection.postgres));
    if (!reconcile.user.empty()) {
      SALLYPORT_TRY(place->credentials, LoginOf(root, connection, place->address, stores));
    } else {
      const auto at = std::ranges::find(logins, connection.name, &Logins::value_type::first);
      if (at == logins.end()) continue;  // no listener for PostgreSQL: nobody comes through here
      place->credentials = at->second;
    }
    for (const std::string& text : reconcile.expected) {
      if (const auto network = IpNetwork::Parse(text)) place->expected.push_back(*network);
    }
    state->places.push_back(std::move(place));
  }
  return std::unique_ptr<BypassWatch>(new BypassWatch(std::move(state)));
}

BypassWatch::BypassWatch(std::shared_ptr<State> state) : state_(std::move(state)) {}
BypassWatch::~BypassWatch() = default;

void BypassWatch::Start(net::Shards& shards) {
  for (const auto& place : state_->places)
    net::Spawn(shards.executor(0), State::Watch(state_, place.get()));
}

void BypassWatch::Reload(std::shared_ptr<const mask::Masker> masker) {
  state_->masker = std::move(masker);
}

Task<std::vector<pg::Foreign>> BypassWatch::State::Look(const Place& place) const {
  SALLYPORT_CO_TRY(pg::ServerLogin login, co_await place.credentials->Admin());
  login.startup.emplace_back("application_name", "sallyport reconcile");
  login.startup.emplace_back("search_path", "pg_catalog");  // operators, too, are the server's own
  SALLYPORT_CO_TRY(pg::Server server, co_await pg::LogIn(*place.address, std::move(login)));
  auto others = co_await pg::LookForOthers(server, pg::OwnBackends::OfProcess(), place.expected);
  server.stream->Close();
  co_return others;
}

Result<> BypassWatch::State::Write(const Place& place, const pg::Foreign& session, bool gone,
                                   uint64_t seconds) const {
  op::Evidence evidence;
  evidence.type = op::EventType::bypass_found;
  evidence.connection = place.connection;
  evidence.resource = place.connection;
  evidence.address = session.address;
  evidence.ok = gone;
  evidence.count = seconds;
  evidence.detail = gone ? "gone" : "a session that is not the gateway's";
  evidence.facts = Facts(*masker.load(), {{"user", session.user},
                                          {"address", session.address},
                                          {"application", session.application},
                                          {"kind", session.kind},
                                          {"since", session.since},
                                          {"backend", session.pid},
                                          {"port", session.port}});
  return record(std::move(evidence));
}

void BypassWatch::State::Take(Place& place, const std::vector<pg::Foreign>& others) {
  const auto now = std::chrono::steady_clock::now();
  uint64_t found = 0;
  for (const pg::Foreign& session : others) {
    if (place.here.contains(session.id())) continue;
    if (!Write(place, session, false, 0)) continue;  // found again by the next look
    obs::Log(obs::Level::warn, "pg.bypass",
             {{"connection", place.connection},
              {"user", session.user},
              {"address", session.address.empty() ? "socket" : session.address},
              {"since", session.since}});
    place.here.emplace(session.id(), Place::Finding{session, now});
    ++found;
  }
  std::erase_if(place.here, [&](const auto& known) {
    const bool still = std::ranges::any_of(
        others, [&](const pg::Foreign& session) { return session.id() == known.first; });
    const auto seconds =
        std::chrono::duration_cast<std::chrono::seconds>(now - known.second.found).count();
    return !still && Write(place, known.second.session, true, uint64_t(seconds)).has_value();
  });
  const std::lock_guard lock(place.mutex);
  place.trouble.clear();
  place.sessions = others.size();
  place.found += found;
  ++place.looks;
}

boost::asio::awaitable<void> BypassWatch::State::Watch(std::shared_ptr<State> self, Place* place) {
  for (;;) {
    const auto others = co_await self->Look(*place);
    if (others) {
      self->Take(*place, *others);
    } else {
      const std::lock_guard lock(place->mutex);
      place->trouble = "the sessions of the database cannot be compared: " + others.error().detail;
      ++place->failed;
    }
    if (!co_await net::Sleep(place->every)) co_return;
  }
}

std::vector<ReadyCheck> BypassWatch::Checks() const {
  std::vector<ReadyCheck> checks;
  for (const auto& place : state_->places) {
    const std::lock_guard lock(place->mutex);
    checks.push_back({"reconcile " + place->connection, place->trouble.empty(), place->trouble,
                      /*alarm_only=*/true});
  }
  return checks;
}

void BypassWatch::DeclareMetrics() const {
  if (state_->places.empty()) return;
  const auto by_connection = [this](std::string_view name, std::string_view help,
                                    uint64_t Place::* what) {
    obs::Metrics().ObserveBy(name, help, "connection", [state = state_, what] {
      std::map<std::string, double> samples;
      for (const auto& place : state->places) {
        const std::lock_guard lock(place->mutex);
        samples[place->connection] = double((*place).*what);
      }
      return samples;
    });
  };
  by_connection("sallyport_bypass_sessions",
                "Sessions at the database that are not the gateway's, at the last look",
                &Place::sessions);
  by_connection("sallyport_bypass_found_total", "Such sessions that were recorded", &Place::found);
  by_connection("sallyport_bypass_looks_total", "Looks at the sessions of the database",
                &Place::looks);
  by_connection("sallyport_bypass_looks_failed_total", "Looks that failed", &Place::failed);
}

}  // namespace sallyport::app
