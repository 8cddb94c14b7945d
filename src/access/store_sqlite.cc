#include "access/store_sqlite.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <utility>

#include "access/kept_grants.h"
#include "access/replays.h"
#include "base/bytes.h"

namespace sallyport::access {
namespace {

using nlohmann::json;

constexpr std::array kSteps{
    "CREATE TABLE session (id TEXT PRIMARY KEY, digest BLOB NOT NULL UNIQUE, data TEXT NOT NULL,"
    " state INTEGER NOT NULL, worked_at INTEGER NOT NULL, ended_at INTEGER NOT NULL) STRICT;"
    "CREATE TABLE revocation (issuer TEXT NOT NULL, subject TEXT NOT NULL, sid TEXT NOT NULL,"
    " at INTEGER NOT NULL, author TEXT NOT NULL, why TEXT NOT NULL,"
    " PRIMARY KEY (issuer, subject, sid)) STRICT;",
    "CREATE TABLE session_use (session TEXT NOT NULL, number INTEGER NOT NULL,"
    " used INTEGER NOT NULL, PRIMARY KEY (session, number)) STRICT;"};

std::string Encode(const Live& live) {
  const op::Principal& who = live.who;
  return json{{"issuer", who.issuer},
              {"subject", who.subject},
              {"name", who.name},
              {"groups", who.groups},
              {"groups_complete", who.groups_complete},
              {"provider", who.provider},
              {"client_id", who.client_id},
              {"agent", who.agent},
              {"owner", who.owner},
              {"sid", who.sid},
              {"acr", who.acr},
              {"amr", who.amr},
              {"auth_time", who.auth_time},
              {"kind", live.kind},
              {"reason", live.reason},
              {"scope", live.scope},
              {"client", live.client},
              {"opened_at", live.opened_at},
              {"authenticated_at", live.authenticated_at},
              {"resource", live.resource},
              {"token_until", live.token_until},
              {"expires_at", live.expires_at}}
      .dump(-1, ' ', false, json::error_handler_t::replace);
}

Result<Live> Decode(std::string_view text) {
  const auto damaged = [] {
    return Fail(Errc::state_unavailable, "state: a session cannot be read");
  };
  const json data = json::parse(text, nullptr, false);
  if (!data.is_object()) return damaged();
  bool whole = true;
  const auto get = [&](const char* name, auto& out) {
    const auto at = data.find(name);
    whole = whole && at != data.end();
    try {
      if (whole) at->get_to(out);
    } catch (const json::exception&) {
      whole = false;
    }
  };
  Live live;
  op::Principal& who = live.who;
  get("issuer", who.issuer), get("subject", who.subject), get("name", who.name);
  get("groups", who.groups), get("groups_complete", who.groups_complete);
  get("provider", who.provider), get("client_id", who.client_id);
  get("agent", who.agent), get("owner", who.owner), get("sid", who.sid);
  get("kind", live.kind), get("reason", live.reason), get("scope", live.scope);
  get("client", live.client), get("opened_at", live.opened_at);
  get("authenticated_at", live.authenticated_at), get("expires_at", live.expires_at);
  // Sessions that an earlier version has kept say nothing of these.
  if (data.contains("resource")) get("resource", live.resource);
  if (data.contains("token_until")) get("token_until", live.token_until);
  // Not in sessions of before: how those people signed in is not known.
  if (data.contains("acr"))
    get("acr", who.acr), get("amr", who.amr), get("auth_time", who.auth_time);
  if (!whole || who.issuer.empty() || who.subject.empty()) return damaged();
  who.token_class = "session";
  who.expires_at = live.expires_at;
  return live;
}

Result<State> StateOf(int64_t value) {
  if (value < 0 || value > int64_t(State::expired))
    return Fail(Errc::state_unavailable, "state: a session cannot be read");
  return State(value);
}

Result<> LoadSessions(state::Database& db, Store::Loaded& loaded) {
  SALLYPORT_TRY(auto s, db.Use("SELECT id, digest, data, state, worked_at, ended_at FROM session"));
  for (;;) {
    SALLYPORT_TRY(const bool more, s.Step());
    if (!more) return {};
    Row row;
    SALLYPORT_TRY(row.session, Decode(s.Text(2)));
    row.session.id = s.Text(0);
    const std::string_view digest = s.Text(1);
    if (digest.size() != row.digest.size())
      return Fail(Errc::state_unavailable, "state: a session cannot be read");
    std::ranges::copy(AsBytes(digest), row.digest.begin());
    SALLYPORT_TRY(row.state, StateOf(s.Integer(3)));
    row.worked_at = s.Integer(4);
    row.ended_at = s.Integer(5);
    loaded.sessions.push_back(std::move(row));
  }
}

Result<> LoadRevocations(state::Database& db, Store::Loaded& loaded) {
  SALLYPORT_TRY(auto s, db.Use("SELECT issuer, subject, sid, at, author, why FROM revocation"));
  for (;;) {
    SALLYPORT_TRY(const bool more, s.Step());
    if (!more) return {};
    loaded.revocations.push_back({.issuer = std::string(s.Text(0)),
                                  .subject = std::string(s.Text(1)),
                                  .sid = std::string(s.Text(2)),
                                  .at = s.Integer(3),
                                  .by = std::string(s.Text(4)),
                                  .why = std::string(s.Text(5))});
  }
}

state::Writer::Work Saving(Row row) {
  return [row = std::move(row)](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto s, db.Use("INSERT INTO session VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO"
                                 " UPDATE SET digest = excluded.digest, data = excluded.data, state = excluded.state,"
                                 " worked_at = excluded.worked_at, ended_at = excluded.ended_at"));
    s.Bind(row.session.id).BindBytes(AsText(row.digest)).Bind(Encode(row.session));
    s.Bind(int64_t(row.state)).Bind(row.worked_at).Bind(row.ended_at);
    return s.Run();
  };
}

state::Writer::Work Saving(RevocationRow row) {
  return [row = std::move(row)](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto s, db.Use("INSERT INTO revocation VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO"
                                 " UPDATE SET at = max(at, excluded.at), author = excluded.author,"
                                 " why = excluded.why"));
    s.Bind(row.issuer).Bind(row.subject).Bind(row.sid).Bind(row.at).Bind(row.by).Bind(row.why);
    return s.Run();
  };
}

state::Writer::Work Saving(std::vector<Store::Mark> marks) {
  return [marks = std::move(marks)](state::Database& db) -> Result<> {
    for (const Store::Mark& mark : marks) {
      // What is over stays over, whatever order marks arrive in.
      SALLYPORT_TRY(auto s,
                    db.Use("UPDATE session SET state = max(?, CASE WHEN state >= 2 THEN state"
                           " ELSE 0 END), worked_at = ?, ended_at = max(ended_at, ?)"
                           " WHERE id = ?"));
      s.Bind(int64_t(mark.state)).Bind(mark.worked_at).Bind(mark.ended_at).Bind(mark.id);
      SALLYPORT_CHECK(s.Run());
    }
    return {};
  };
}

state::Writer::Work Forgetting(std::vector<std::string> sessions, Nanos before) {
  return [sessions = std::move(sessions), before](state::Database& db) -> Result<> {
    for (const std::string& id : sessions) {
      SALLYPORT_TRY(auto s, db.Use("DELETE FROM session WHERE id = ?"));
      SALLYPORT_CHECK(s.Bind(id).Run());
    }
    SALLYPORT_TRY(auto s, db.Use("DELETE FROM revocation WHERE at < ?"));
    return s.Bind(before).Run();
  };
}

class SqliteStore final : public Store {
 public:
  explicit SqliteStore(state::Writer& writer) : writer_(writer) {}

  Result<Loaded> Load() override {
    const auto loaded = std::make_shared<Loaded>();
    SALLYPORT_CHECK(writer_.CommitBlocking([loaded](state::Database& db) -> Result<> {
      *loaded = {};
      SALLYPORT_CHECK(LoadSessions(db, *loaded));
      return LoadRevocations(db, *loaded);
    }));
    return std::move(*loaded);
  }
  Task<> Put(Row row) override { return writer_.Commit(Saving(std::move(row))); }
  Task<> Put(RevocationRow row) override { return writer_.Commit(Saving(std::move(row))); }
  Task<> Put(std::vector<Mark> marks) override { return writer_.Commit(Saving(std::move(marks))); }
  void Note(std::vector<Mark> marks) override { (void)writer_.Enqueue(Saving(std::move(marks))); }
  void Forget(std::vector<std::string> sessions, Nanos before) override {
    (void)writer_.Enqueue(Forgetting(std::move(sessions), before));
  }

 private:
  state::Writer& writer_;
};

}  // namespace

Result<> PrepareState(state::Database& db) {
  SALLYPORT_CHECK(db.Migrate("access", kSteps));
  SALLYPORT_CHECK(KeptGrants::Migrate(db));
  return Replays::Migrate(db);
}

std::shared_ptr<Store> MakeSqliteStore(state::Writer& writer) {
  return std::make_shared<SqliteStore>(writer);
}

}  // namespace sallyport::access
