#include <algorithm>

#include "mask/seal.h"
#include "net/event.h"
#include "obs/log.h"
#include "obs/metrics.h"
#include "pg/admin_db.h"
#include "pg/arrival.h"
#include "pg/frontend_front.h"
#include "pg/grants.h"
#include "pg/relay_errors.h"
#include "pg/session.h"
#include "pg/to_wire.h"
#include "policy/reach.h"
#include "policy/rules.h"
#include "sql/functions.h"

namespace sallyport::pg {
namespace {

constexpr std::chrono::seconds kQuestion{10};

/// The only encoding that is read here; drivers write it in many ways.
bool IsUtf8(std::string_view value) {
  std::string plain;
  for (const char c : value) {
    if (c != '-' && c != '_' && c != '\'' && c != '"')
      plain += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  }
  return plain == "utf8" || plain == "unicode";
}

/// What the client may set at the start, and our own pins.
Result<Parameters> StartupFor(const Startup& startup) {
  Parameters out;
  for (const auto& [name, value] : startup.parameters) {
    std::string lower(name);
    std::ranges::transform(lower, lower.begin(), [](unsigned char c) { return std::tolower(c); });
    if (lower == "client_encoding") {
      if (!IsUtf8(value))
        return Fail(Errc::sql_state_refused, "client_encoding has to be UTF8 here");
    } else if (lower == "standard_conforming_strings") {
      if (value != "on" && value != "true" && value != "1")
        return Fail(Errc::sql_state_refused, "standard_conforming_strings has to be on");
    } else if (sql::IsHarmlessParameter(name)) {
      out.emplace_back(name, value);
    } else {
      return Fail(Errc::sql_state_refused, "the setting " +
                                               (name.size() < 64 ? lower : std::string("given")) +
                                               " cannot be set at the start of a session");
    }
  }
  out.emplace_back("client_encoding", "UTF8");
  out.emplace_back("standard_conforming_strings", "on");
  return out;
}

boost::asio::awaitable<void> Say(net::Stream& stream, std::string text) {
  net::Pieces pieces(text);
  if (stream.Start(pieces) == net::Stream::Sent::part)
    (void)co_await stream.Finish(pieces, std::chrono::seconds(5));
}

boost::asio::awaitable<void> SayFatal(net::Stream& stream, const Error& error) {
  std::string out;
  AppendError(out, ToWire(error, "FATAL"));
  co_await Say(stream, std::move(out));
  co_await stream.Linger(std::chrono::milliseconds(500));
}

void RecordRefused(Front& front, const std::string& address, const Error& error,
                   const std::string& database, const op::Session* session) {
  op::Evidence evidence;
  evidence.type = session != nullptr ? op::EventType::request_refused : op::EventType::auth_failure;
  if (session != nullptr) evidence.session = session->entry;
  evidence.address = address;
  // A name that nobody configured may be anything.
  if (front.places.contains(database)) evidence.connection = database;
  evidence.method = "login";
  evidence.reason = error.code;
  evidence.ok = false;
  (void)front.options.gate.Record(std::move(evidence));
}

Nanos NowOf(const Front& front) {
  return front.options.clock.SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
}

/// rate_limited: too many credentials from this address were refused, so this one is not read. Of
/// these refusals one entry is recorded in a while, with their number.
Result<> TurnAway(Front& front, const std::string& address) {
  const auto answer = front.refusals.Ask(address, NowOf(front));
  if (answer.wait_seconds == 0) return {};
  if (answer.turned_away != 0) {
    op::Evidence evidence;
    evidence.type = op::EventType::auth_failure;
    evidence.address = address;
    evidence.method = "login";
    evidence.reason = Errc::rate_limited;
    evidence.ok = false;
    evidence.count = answer.turned_away;
    SALLYPORT_CHECK(front.options.gate.Record(std::move(evidence)));
  }
  return Fail(Errc::rate_limited, "too many credentials from this address were refused");
}

/// AuthenticationOk to ReadyForQuery.
std::string Greeting(const Server& server, const std::string& key, const mask::Masker& masker) {
  std::string out;
  MessageWriter(out).Begin('R').U32(0).End();
  for (const std::string& notice : server.notices) {
    const auto filtered =
        FilterError('N', std::string_view(notice).substr(std::min<size_t>(5, notice.size())),
                    masker, false, false);
    if (filtered) out += filtered->message;
  }
  for (const auto& [name, value] : server.parameters) {
    std::string masked;
    mask::Tally tally;
    const bool changed = masker.MaskText(value, {}, masked, tally);
    MessageWriter(out).Begin('S').CString(name).CString(changed ? masked : value).End();
  }
  MessageWriter(out).Begin('K').U32(server.pid).Bytes(key).End();
  MessageWriter(out).Begin('Z').U8('I').End();
  return out;
}

Result<> CheckPins(const Server& server) {
  const std::string* strings = server.Parameter("standard_conforming_strings");
  const std::string* encoding = server.Parameter("client_encoding");
  if (strings == nullptr || *strings != "on" || encoding == nullptr || *encoding != "UTF8") {
    return Fail(Errc::sql_state_refused,
                "the database does not read strings and encodings as they are read here");
  }
  return {};
}

/// One caller at one database: everything between the verified token and the first query.
class Opening {
 public:
  Opening(Front& front, Arrival& arrival, Place& place)
      : front_(front), arrival_(arrival), place_(place), settings_(front.settings()) {}

  Task<std::shared_ptr<Session>> Run();
  void End();
  const op::Session* who() const { return who_.get(); }

 private:
  Result<> MayEnter() const;
  Task<> Record();
  Task<Server> Connect(Parameters startup);
  void SetEnd();

  Front& front_;
  Arrival& arrival_;
  Place& place_;
  std::shared_ptr<const Settings> settings_;
  std::optional<uint64_t> slot_;
  std::shared_ptr<const op::Session> who_;
  std::unique_ptr<Lease> lease_;
  std::unique_ptr<CancelKeys::Ticket> ticket_;
  std::chrono::steady_clock::time_point until_;
  Nanos until_wall_ = 0;
  bool token_ends_it_ = false;
  std::vector<std::string> search_path_;
  std::string backend_;  // which one at the server it got
};

Result<> Opening::MayEnter() const {
  if (!pg::MayEnter(front_, place_, arrival_.who->principal)) {
    return Fail(Errc::connection_unknown,
                "database \"" + place_.config.name + "\" does not exist, or no rule lets you in");
  }
  return {};
}

void Opening::SetEnd() {
  const auto now = front_.options.clock.SteadyNow();
  const Nanos wall = front_.options.clock.WallNow();
  const Nanos longest = std::chrono::nanoseconds(settings_->limits.session_max).count();
  const Nanos left = arrival_.who->expires_at > 0 ? arrival_.who->expires_at - wall : longest;
  token_ends_it_ = left < longest;
  const Nanos span = std::max<Nanos>(std::min(left, longest), 0);
  until_ = now + std::chrono::nanoseconds(span);
  until_wall_ = wall + span;
}

Task<> Opening::Record() {
  auto session = std::make_unique<op::Session>();
  session->who = arrival_.who->principal;
  session->from.address = arrival_.address;
  std::string masked;
  mask::Tally tally;
  const std::string& client = arrival_.startup.application_name;
  session->from.client = settings_->masker->MaskText(client, {}, masked, tally) ? masked : client;
  session->connection = place_.config.name;
  session->front_end = "postgres";
  session->protocol = arrival_.startup.minor == 0 ? "3.0" : "3.2";
  SALLYPORT_CO_TRY(who_, co_await front_.options.gate.Open(std::move(session)));
  co_return Result<>();
}

Task<Server> Opening::Connect(Parameters startup) {
  const auto rules = front_.options.gate.rules();
  std::shared_ptr<const sql::Catalog> catalog = place_.catalog.last();
  if (!catalog) {
    SALLYPORT_CO_TRY(catalog, co_await place_.catalog.Newer(0));
  }
  const auto reach = policy::ReachOf(*rules, who_->who, place_.config.name, place_.config.labels);
  SALLYPORT_CO_TRY(lease_, co_await place_.config.credentials->Borrow(
                               *who_, GrantsFor(reach, *catalog), until_wall_));
  ServerLogin login = lease_->login();
  for (auto& parameter : startup) login.startup.push_back(std::move(parameter));
  SALLYPORT_CO_TRY(Server server, co_await LogIn(*place_.config.address, std::move(login)));
  // So that the server's own log of connections can be compared: `audit bypass`.
  backend_ = "backend " + std::to_string(server.pid) + ", from port " +
             std::to_string(server.local_port);
  SALLYPORT_CO_CHECK(CheckPins(server));
  SALLYPORT_CO_TRY(const std::vector<Row> path,
                   co_await Query(server, "select unnest(current_schemas(true))", kQuestion));
  for (const Row& row : path) {
    if (!row.empty() && row[0]) search_path_.push_back(*row[0]);
  }
  co_return server;
}

Task<std::shared_ptr<Session>> Opening::Run() {
  SALLYPORT_CO_CHECK(MayEnter());
  if (front_.draining) co_return Fail(Errc::draining, "the gateway is shutting down");
  SALLYPORT_CO_TRY(Parameters startup, StartupFor(arrival_.startup));
  SALLYPORT_CO_TRY(slot_, front_.registry.Reserve(arrival_.who->principal,
                                                  settings_->limits.sessions_per_caller));
  SetEnd();
  SALLYPORT_CO_CHECK(co_await Record());
  SALLYPORT_CO_TRY(Server server, co_await Connect(std::move(startup)));
  const auto executor = co_await net::ThisExecutor();
  auto figures = std::make_shared<Figures>();
  auto session = std::make_shared<Session>(
      executor, Session::Parts{.front = &front_,
                               .place = &place_,
                               .shard = std::min(front_.options.shards.current(),
                                                 front_.options.shards.size() - 1),
                               .client = arrival_.stream,
                               .server = std::move(server),
                               .who = who_,
                               .credential = arrival_.who,
                               .figures = figures,
                               .search_path = std::move(search_path_),
                               .until = until_,
                               .token_ends_it = token_ends_it_});
  front_.registry.Fill(
      *slot_,
      {.session = session, .who = who_, .figures = std::move(figures), .executor = executor});
  // A kill that came meanwhile has not seen a session that was not in the registry yet.
  SALLYPORT_CO_CHECK(front_.options.verifier.Holds(*arrival_.who));
  const std::weak_ptr<Session> weak = session;
  lease_->OnLost([weak, executor] {
    net::Post(executor, [weak] {
      if (const auto alive = weak.lock())
        alive->Stop(Error(Errc::session_ended, "the database login of the session has ended"));
    });
  });
  ticket_ = front_.keys.Issue(session->server().pid, arrival_.startup.minor, executor, [weak] {
    if (const auto alive = weak.lock()) alive->Cancel();
  });
  const std::string greeting = Greeting(session->server(), ticket_->key(), *settings_->masker);
  co_await Say(*arrival_.stream, greeting);
  co_return session;
}

void Opening::End() {
  ticket_.reset();
  if (lease_) lease_->Release();
  if (who_) front_.options.gate.Close(*who_, std::move(backend_));
  if (slot_) front_.registry.Remove(*slot_);
}

/// End(), however the coroutine ends.
class EndLater {
 public:
  explicit EndLater(Opening& opening) : opening_(opening) {}
  ~EndLater() { opening_.End(); }
  EndLater(const EndLater&) = delete;

 private:
  Opening& opening_;
};

boost::asio::awaitable<void> ServeCaller(Front& front, Arrival arrival) {
  const std::string database = arrival.startup.database;
  if (database == kAdminDatabase) co_return co_await ServeAdmin(front, std::move(arrival));
  const auto at = front.places.find(database);
  if (at == front.places.end()) {
    const Error error(Errc::connection_unknown, "database does not exist, or no rule lets you in");
    RecordRefused(front, arrival.address, error, database, nullptr);
    co_return co_await SayFatal(*arrival.stream, error);
  }
  static auto& opened = obs::Metrics().counters(
      "sallyport_pg_sessions_total", "PostgreSQL sessions by connection and how opening them went.",
      {"connection", "outcome"});
  Opening opening(front, arrival, *at->second);
  const EndLater end(opening);
  auto session = co_await opening.Run();
  opened.With({database, session ? "ok" : "refused"}).Add();
  if (!session) {
    RecordRefused(front, arrival.address, session.error(), database, opening.who());
    co_return co_await SayFatal(*arrival.stream, session.error());
  }

  co_await (*session)->Run();
}

}  // namespace

bool MayEnter(const Front& front, const Place& place, const op::Principal& who) {
  const auto rules = front.options.gate.rules();
  return rules->Visible(who, place.config.name, place.config.labels, op::Verb::sql,
                        place.config.address->database) ||
         !policy::ReachOf(*rules, who, place.config.name, place.config.labels).empty();
}

boost::asio::awaitable<void> ServeConnection(Front& front, std::shared_ptr<net::Stream> stream,
                                             std::string peer) {
  const auto settings = front.settings();
  const ArrivalOptions options{
      .tls = front.options.tls,
      .plain_password = front.options.tls == nullptr,
      .verifier = &front.options.verifier,
      .login_deadline = settings->limits.login_deadline,
      .issuer_metadata = front.options.issuer_metadata,
      .scope = "openid",
      .resource = front.options.public_url + "/postgres/",
      .may_read = [&front](const std::string& address,
                           const std::string&) { return TurnAway(front, address); },
      .on_refused =
          [&front](const std::string& address, const Error& error, const std::string& database) {
            // A provider that is down is not the caller's fault.
            if (error.code != Errc::identity_provider_down)
              front.refusals.Add(address, NowOf(front));
            RecordRefused(front, address, error, database, nullptr);
          }};
  auto got = co_await Receive(stream, std::move(peer), options);
  if (!got) co_return;
  if (const auto* cancel = std::get_if<CancelRequest>(&*got)) {
    (void)front.keys.Cancel(*cancel);
    co_return;
  }
  co_await ServeCaller(front, std::move(std::get<Arrival>(*got)));
}

}  // namespace sallyport::pg
