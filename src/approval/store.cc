#include "approval/store.h"

#include <nlohmann/json.hpp>

namespace sallyport::approval::store {
namespace {

using nlohmann::json;
using state::Database;
using state::Statement;

constexpr const char* kSteps[] = {R"(
CREATE TABLE approval (
  id TEXT PRIMARY KEY, key TEXT NOT NULL, state TEXT NOT NULL, created INTEGER NOT NULL,
  expires INTEGER NOT NULL, closed INTEGER NOT NULL, end_reason TEXT NOT NULL, doc TEXT NOT NULL,
  exact BLOB) STRICT, WITHOUT ROWID;
CREATE INDEX approval_closed ON approval (closed);
CREATE TABLE approval_vote (
  id TEXT NOT NULL REFERENCES approval (id) ON DELETE CASCADE, n INTEGER NOT NULL,
  at INTEGER NOT NULL, approve INTEGER NOT NULL, doc TEXT NOT NULL, PRIMARY KEY (id, n)) STRICT;
CREATE TABLE approval_person (
  issuer TEXT NOT NULL, subject TEXT NOT NULL, first INTEGER NOT NULL, groups TEXT NOT NULL,
  PRIMARY KEY (issuer, subject)) STRICT, WITHOUT ROWID;
)"};

std::string Dump(const json& value) {
  return value.dump(-1, ' ', false, json::error_handler_t::replace);
}

json Write(const op::Principal& p) {
  return {{"issuer", p.issuer},
          {"subject", p.subject},
          {"name", p.name},
          {"groups", p.groups},
          {"complete", p.groups_complete},
          {"provider", p.provider},
          {"client", p.client_id},
          {"agent", p.agent},
          {"owner", p.owner},
          {"class", p.token_class}};
}

op::Principal ReadPrincipal(const json& v) {
  op::Principal p;
  p.issuer = v.at("issuer"), p.subject = v.at("subject"), p.name = v.at("name");
  p.groups = v.at("groups").get<std::vector<std::string>>();
  p.groups_complete = v.at("complete");
  p.provider = v.at("provider"), p.client_id = v.at("client"), p.agent = v.at("agent");
  p.owner = v.at("owner"), p.token_class = v.at("class");
  return p;
}

json Write(const std::optional<op::UnmaskTerms>& terms) {
  if (!terms) return nullptr;
  return {{"detectors", terms->detectors},
          {"max_values", terms->max_values},
          {"ttl", terms->ttl},
          {"reason", terms->reason.get()}};
}

std::string Write(const Request& r) {
  return Dump({{"flow", r.flow},
               {"need", r.need},
               {"reason_required", r.reason_required},
               {"approvers", r.approvers},
               {"requester", Write(r.requester)},
               {"session", r.session},
               {"connection", r.connection},
               {"target", r.target},
               {"verb", int(r.verb)},
               {"method", r.method},
               {"resource", r.resource},
               {"effect", int(r.effect)},
               {"shown", r.shown.text.get()},
               {"shown_json", r.shown.json},
               {"shown_bytes", r.shown.total_bytes},
               {"shown_complete", r.shown.complete},
               {"arguments", r.arguments},
               {"digest", r.digest},
               {"policy", r.policy_version},
               {"decision", r.decision_id},
               {"rules", r.rules},
               {"why", r.why},
               {"unmask", Write(r.unmask)},
               {"entry", r.entry}});
}

Row ReadRow(const json& v) {
  Row row;
  Request& r = row.loaded.request;
  r.flow = v.at("flow"), r.need = v.at("need"), r.reason_required = v.at("reason_required");
  r.approvers = v.at("approvers").get<std::vector<std::string>>();
  r.requester = ReadPrincipal(v.at("requester"));
  r.session = v.at("session"), r.connection = v.at("connection"), r.target = v.at("target");
  r.verb = op::Verb(v.at("verb").get<int>()), r.method = v.at("method");
  r.resource = v.at("resource"), r.effect = op::Effect(v.at("effect").get<int>());
  row.shown = v.at("shown");
  r.shown.json = v.at("shown_json"), r.shown.total_bytes = v.at("shown_bytes");
  r.shown.complete = v.at("shown_complete");
  r.arguments = v.at("arguments"), r.digest = v.at("digest"), r.policy_version = v.at("policy");
  r.decision_id = v.at("decision"), r.rules = v.at("rules").get<std::vector<std::string>>();
  r.why = v.at("why"), r.entry = v.at("entry");
  if (const auto unmask = v.find("unmask"); unmask != v.end() && !unmask->is_null()) {
    r.unmask.emplace();
    r.unmask->detectors = unmask->at("detectors").get<std::vector<std::string>>();
    r.unmask->max_values = unmask->at("max_values"), r.unmask->ttl = unmask->at("ttl");
    row.unmask_reason = unmask->at("reason");
  }
  return row;
}

std::unexpected<Error> Damaged(const std::exception& e) {
  return Fail(Errc::state_unavailable, std::string("state: a stored approval: ") + e.what());
}

Result<> LoadVotes(Database& db, Request& request) {
  SALLYPORT_TRY(Statement query,
                db.Use("SELECT at, approve, doc FROM approval_vote WHERE id = ?1 ORDER BY n"));
  query.Bind(request.id);
  for (;;) {
    SALLYPORT_TRY(const bool row, query.Step());
    if (!row) return {};
    const json v = json::parse(query.Text(2));
    Vote vote;
    vote.voter = ReadPrincipal(v.at("voter"));
    vote.at = query.Integer(0), vote.approve = query.Integer(1) != 0;
    vote.reason = v.at("reason"), vote.assertion = v.at("assertion"), vote.entry = v.at("entry");
    request.votes.push_back(std::move(vote));
  }
}

}  // namespace

Result<> Migrate(Database& db) { return db.Migrate("approval", kSteps); }

Result<std::vector<Row>> Load(Database& db, Nanos since) {
  SALLYPORT_TRY(Statement query,
                db.Use("SELECT id, key, state, created, expires, closed, end_reason, doc "
                       "FROM approval WHERE closed = 0 OR closed >= ?1 ORDER BY created, id"));
  query.Bind(int64_t(since));
  std::vector<Row> rows;
  try {
    for (;;) {
      SALLYPORT_TRY(const bool more, query.Step());
      if (!more) return rows;
      Row row = ReadRow(json::parse(query.Text(7)));
      Request& r = row.loaded.request;
      r.id = query.Text(0), row.loaded.key = query.Text(1);
      const auto state = ParseState(query.Text(2));
      if (!state) return Fail(Errc::state_unavailable, "state: an approval in no known state");
      r.state = *state, r.created = query.Integer(3), r.expires = query.Integer(4);
      r.closed = query.Integer(5), r.end_reason = query.Text(6);
      SALLYPORT_CHECK(LoadVotes(db, r));
      rows.push_back(std::move(row));
    }
  } catch (const json::exception& e) {
    return Damaged(e);
  }
}

Result<std::vector<Sightings::Row>> LoadPersons(Database& db) {
  SALLYPORT_TRY(Statement query,
                db.Use("SELECT issuer, subject, first, groups FROM approval_person"));
  std::vector<Sightings::Row> rows;
  try {
    for (;;) {
      SALLYPORT_TRY(const bool more, query.Step());
      if (!more) return rows;
      Sightings::Row row{std::string(query.Text(0)), std::string(query.Text(1)), {}};
      row.known.person = query.Integer(2);
      for (const auto& [group, first] : json::parse(query.Text(3)).items())
        row.known.groups.emplace(group, first.get<Nanos>());
      rows.push_back(std::move(row));
    }
  } catch (const json::exception& e) {
    return Damaged(e);
  }
}

Result<> Insert(Database& db, const Request& request, std::string_view key,
                std::string_view sealed) {
  SALLYPORT_TRY(Statement put,
                db.Use("INSERT INTO approval VALUES (?1, ?2, 'pending', ?3, ?4, 0, '', ?5, ?6)"));
  put.Bind(request.id).Bind(key).Bind(int64_t(request.created)).Bind(int64_t(request.expires));
  return put.Bind(Write(request)).BindBytes(sealed).Run();
}

Result<> AddVote(Database& db, const std::string& id, const Vote& vote) {
  SALLYPORT_TRY(Statement put,
                db.Use("INSERT INTO approval_vote SELECT id, (SELECT count(*) FROM approval_vote v "
                       "WHERE v.id = approval.id), ?2, ?3, ?4 FROM approval "
                       "WHERE id = ?1 AND state IN ('pending', 'approved')"));
  put.Bind(id).Bind(int64_t(vote.at)).Bind(int64_t(vote.approve ? 1 : 0));
  put.Bind(Dump({{"voter", Write(vote.voter)},
                 {"reason", vote.reason},
                 {"assertion", vote.assertion},
                 {"entry", vote.entry}}));
  SALLYPORT_CHECK(put.Run());
  if (db.changes() != 1) return Fail(Errc::approval_closed);
  return {};
}

Result<> Move(Database& db, const std::string& id, State from, State to, Nanos at,
              const std::string& why) {
  const bool over = to != State::approved;
  SALLYPORT_TRY(Statement put, db.Use("UPDATE approval SET state = ?3, closed = ?4, end_reason = "
                                      "?5, exact = CASE WHEN ?6 THEN NULL ELSE exact END "
                                      "WHERE id = ?1 AND state = ?2"));
  put.Bind(id).Bind(StateName(from)).Bind(StateName(to)).Bind(over ? int64_t(at) : int64_t{0});
  SALLYPORT_CHECK(put.Bind(why).Bind(int64_t(over ? 1 : 0)).Run());
  if (db.changes() != 1) return Fail(Errc::approval_closed);
  return {};
}

Result<std::string> Exact(Database& db, const std::string& id) {
  SALLYPORT_TRY(Statement query, db.Use("SELECT exact FROM approval WHERE id = ?1"));
  SALLYPORT_TRY(const bool row, query.Bind(id).Step());
  if (!row) return Fail(Errc::not_found);
  if (query.IsNull(0)) return Fail(Errc::approval_closed);
  return std::string(query.Text(0));
}

Result<> PutPerson(Database& db, const Sightings::Row& row) {
  json groups = json::object();
  for (const auto& [group, first] : row.known.groups) groups[group] = first;
  SALLYPORT_TRY(Statement put,
                db.Use("INSERT OR REPLACE INTO approval_person VALUES (?1, ?2, ?3, ?4)"));
  put.Bind(row.issuer).Bind(row.subject).Bind(int64_t(row.known.person));
  return put.Bind(Dump(groups)).Run();
}

Result<> Prune(Database& db, Nanos before) {
  SALLYPORT_TRY(Statement put, db.Use("DELETE FROM approval WHERE closed > 0 AND closed < ?1"));
  return put.Bind(int64_t(before)).Run();
}

}  // namespace sallyport::approval::store
