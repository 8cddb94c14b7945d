#include <map>

#include "evidence_pack/tables.h"

namespace sallyport::evidence_pack {
namespace {

constexpr Nanos kInactive = 90ll * 86'400 * 1'000'000'000;

/// Accounts: who there is, what they may do and did, how they came in and went.
class People final : public Table {
 public:
  explicit People(Pack& pack)
      : leavers_(pack.Open("evidence/08.2.5/ended-access.csv"),
                 {"index", "time", "account", "issuer", "by", "why", "sessions_ended",
                  "database_sessions_ended", "mcp_streams_ended", "requests_withdrawn",
                  "last_use_before"}) {}

  void Add(const Record& record) override {
    if (record.Is("session.killed") && record.inside) Ended(record);
    if (record.inside && record.Is("session.locked")) ++locked_;
    if (record.inside && record.Is("session.unlocked")) ++unlocked_;
    if (record.inside && record.Is("auth.failure")) ++failures_[std::string(record.Text("why"))];
    if (record.inside && record.Is("call.denied") && record.Text("why") == "mfa-required")
      ++without_factor_;
    const Person* who = record.who();
    if (who == nullptr) return;
    Use& use = uses_[who];
    if (use.first == 0) use.first = record.at;
    use.last = std::max(use.last, record.at);
    if (!record.inside) return;
    if (record.Is("auth.success")) ++use.sessions;
    if (record.Is("call.denied")) ++use.denied;
    if (!record.Is("call.intent")) return;
    ++use.allowed;
    for (json::Value r = record.root["rules"].first(); r; r = r.next()) {
      RuleUse& rule = rules_[{std::string(r.string().value_or("")), who}];
      ++rule.uses;
      rule.last = record.at;
    }
    RuleUse& place = places_[{record.call->connection, who}];
    ++place.uses;
    place.last = record.at;
  }

  void Finish(Pack& pack, const History& history) override {
    Identities(pack, history);
    Review(pack, history);
    Rules(pack);
    Shared(pack);
    Sessions(pack);
    pack.Register({"8.2.5", "8.2.4", "8.2.7"}, leavers_.file().name(),
                  "Access that was ended: by whom, why, what ended with it", "session.killed",
                  leavers_.rows(), "population");
  }

 private:
  struct Use {
    Nanos first = 0, last = 0;
    uint64_t sessions = 0, allowed = 0, denied = 0;
  };
  struct RuleUse {
    uint64_t uses = 0;
    Nanos last = 0;
  };

  void Ended(const Record& record) {
    const json::Value access = record.root["acc"], whom = access["who"];
    const auto text = [](json::Value v) { return v.string().value_or(""); };
    const auto number = [&](const char* key) {
      return uint64_t(access[key].integer().value_or(0));
    };
    Nanos last = 0;
    for (const auto& [person, use] : uses_) {
      if (person->issuer == text(whom["iss"]) && person->subject == text(whom["sub"]))
        last = std::max(last, use.last);
    }
    const std::string_view name = text(whom["name"]);
    leavers_.Cell(record.index).When(record.at).Cell(name.empty() ? text(whom["sub"]) : name);
    leavers_.Cell(text(whom["iss"])).Cell(text(access["by"])).Cell(text(access["why"]));
    leavers_.Cell(number("own")).Cell(number("pg")).Cell(number("mcp")).Cell(number("ap"));
    leavers_.When(last).End();
  }

  const Use& Of(const Person& person) const {
    static const Use kNone;
    const auto found = uses_.find(&person);
    return found == uses_.end() ? kNone : found->second;
  }

  void Identities(Pack& pack, const History& history) {
    Csv all(pack.Open("evidence/08.2.1/identities.csv"),
            {"issuer", "subject", "name", "agent", "acts_for", "provider", "token_class",
             "first_seen", "last_seen", "sessions", "operations_allowed", "operations_denied"});
    Csv idle(pack.Open("evidence/08.2.6/inactive-accounts.csv"),
             {"issuer", "subject", "name", "agent", "last_seen", "days"});
    Csv agents(pack.Open("evidence/08.6.1/agents-and-persons.csv"),
               {"agent", "issuer", "subject", "client", "acts_for", "operations_allowed",
                "operations_denied", "last_seen"});
    uint64_t ownerless = 0;
    for (const Person& p : history.people()) {
      const Use& use = Of(p);
      if (use.first == 0) continue;  // named by others only
      all.Cell(p.issuer).Cell(p.subject).Cell(p.name).Cell(p.agent).Cell(p.owner).Cell(p.provider);
      all.Cell(p.token_class).When(use.first).When(use.last).Cell(use.sessions);
      all.Cell(use.allowed).Cell(use.denied).End();
      if (pack.head().to - use.last > kInactive) {
        idle.Cell(p.issuer).Cell(p.subject).Cell(p.name).Cell(p.agent).When(use.last);
        idle.Cell(uint64_t(pack.head().to - use.last) / 86'400'000'000'000ull).End();
      }
      if (p.agent.empty()) continue;
      if (p.owner.empty()) ++ownerless;
      agents.Cell(p.agent).Cell(p.issuer).Cell(p.subject).Cell(p.client).Cell(p.owner);
      agents.Cell(use.allowed).Cell(use.denied).When(use.last).End();
    }
    pack.Register({"8.2.1", "8.3.1", "8.3.11"}, all.file().name(),
                  "Accounts that the gateway has seen: one identity each",
                  "the (issuer, subject) of every session of the log", all.rows(), "population");
    pack.Register({"8.2.6"}, idle.file().name(), "Accounts not seen for 90 days",
                  "accounts of the log by their last entry before the end of the period",
                  idle.rows(), "population");
    pack.Register({"8.6.1", "7.2.5"}, agents.file().name(), "Agents and who answers for them",
                  "sessions of configured agents", agents.rows(), "population");
    pack.Figure({"8.2.1"}, "accounts", all.rows());
    pack.Figure({"8.2.6"}, "inactive_for_90_days", idle.rows());
    if (idle.rows() > 0)
      pack.Exception({"8.2.6"},
                     std::to_string(idle.rows()) + " accounts were not seen for 90 days");
    pack.Figure({"8.6.1", "7.2.5"}, "agents_without_an_owner", ownerless);
    if (ownerless > 0)
      pack.Exception({"8.6.1"},
                     std::to_string(ownerless) + " agents have nobody who answers for them");
  }

  static void Reviewed(Csv& csv, const Person& p, const std::string& role, const RuleUse& use) {
    csv.Cell(p.label()).Cell(p.agent.empty() ? p.label() : p.owner).Cell(role);
    csv.Cell(use.uses > 0 ? "used" : "not used").Cell(p.issuer).Cell(p.subject).Cell(use.uses);
    csv.When(use.last).Cell("").Cell("").End();
  }

  /// Granted against used: what each account used, by rule; who is named by a rule and used nothing
  /// is in the list of rules.
  void Review(Pack& pack, const History& history) {
    static constexpr std::initializer_list<std::string_view> kColumns{
        "Account name", "Account owner", "Role",     "Status",          "issuer",
        "subject",      "uses",          "last_use", "keep (reviewer)", "reviewed by"};
    Csv people(pack.Open("evidence/07.2.4/access-review.csv"), kColumns);
    Csv agents(pack.Open("evidence/07.2.5.1/agent-review.csv"), kColumns);
    std::set<const Person*> listed;
    for (const auto& [key, use] : rules_) {
      Reviewed(key.second->agent.empty() ? people : agents, *key.second, "rule " + key.first, use);
      listed.insert(key.second);
    }
    for (const Person& p : history.people()) {
      if (listed.contains(&p) || Of(p).first == 0) continue;
      Reviewed(p.agent.empty() ? people : agents, p, "none used", {});
    }
    pack.Register({"7.2.4"}, people.file().name(),
                  "Access review: what each person was let through by, and how often",
                  "rules of every allowed operation, by account", people.rows(), "form");
    pack.Register({"7.2.5", "7.2.5.1", "8.6.3"}, agents.file().name(),
                  "Access review of agents and applications",
                  "rules of every allowed operation, by agent", agents.rows(), "form");
    Csv places(pack.Open("evidence/07.2.4/connections-used.csv"),
               {"connection", "account", "agent", "operations", "last_use"});
    for (const auto& [key, use] : places_) {
      places.Cell(key.first).Cell(key.second->label()).Cell(key.second->agent).Cell(use.uses);
      places.When(use.last).End();
    }
    pack.Register({"7.2.4", "7.2.5.1"}, places.file().name(), "Connections used by each account",
                  "every allowed operation", places.rows(), "population");
  }

  void Rules(Pack& pack) {
    if (!pack.setup().given) return;
    Csv csv(pack.Open("evidence/07.2.2/rules-used.csv"),
            {"rule", "effect", "who", "uses", "accounts", "last_use", "status"});
    uint64_t unused = 0;
    for (const policy::RuleSpec& rule : pack.setup().policies.rules) {
      RuleUse sum;
      uint64_t accounts = 0;
      for (const auto& [key, use] : rules_) {
        if (key.first != rule.id) continue;
        sum.uses += use.uses;
        sum.last = std::max(sum.last, use.last);
        ++accounts;
      }
      std::string who;
      for (const std::string& w : rule.who) who += (who.empty() ? "" : " ") + w;
      const bool lets = rule.effect != op::Verdict::deny;
      if (lets && sum.uses == 0) ++unused;
      csv.Cell(rule.id).Cell(lets ? rule.effect == op::Verdict::allow ? "allow" : "approve"
                                  : "deny");
      csv.Cell(who).Cell(sum.uses).Cell(accounts).When(sum.last);
      csv.Cell(!lets ? "denies" : sum.uses == 0 ? "not used in this period" : "used").End();
    }
    pack.Register({"7.2.1", "7.2.2", "7.2.4"}, csv.file().name(),
                  "Rules that let through, against what they were used for",
                  "rules of the configuration; rules of every allowed operation", csv.rows(),
                  "population");
    pack.Figure({"7.2.2"}, "rules_not_used", unused);
    if (unused > 0)
      pack.Exception({"7.2.2"}, std::to_string(unused) +
                                    " rules that let through were not used in this period");
  }

  /// One account at an upstream, many people: each statement still has its person.
  void Shared(Pack& pack) {
    Csv csv(pack.Open("evidence/08.2.2/shared-accounts.csv"),
            {"connection", "account_at_the_upstream", "used_by", "issuer", "subject", "operations",
             "last_use"});
    for (const auto& [key, use] : places_) {
      std::string account = pack.setup().given ? "" : "configuration not given";
      for (const Setup::Connection& c : pack.setup().connections) {
        if (c.name == key.first) account = c.account;
      }
      csv.Cell(key.first).Cell(account).Cell(key.second->label()).Cell(key.second->issuer);
      csv.Cell(key.second->subject).Cell(use.uses).When(use.last).End();
    }
    pack.Register({"8.2.2", "8.6.1"}, csv.file().name(),
                  "Accounts at upstreams, and the people behind each", "every allowed operation",
                  csv.rows(), "population");
  }

  void Sessions(Pack& pack) {
    const Setup& setup = pack.setup();
    Json failures = Json::object();
    for (const auto& [why, count] : failures_) failures[why.empty() ? "other" : why] = count;
    Json roles = Json::object();
    for (const auto& [role, who] : setup.roles) roles[role] = who;
    const std::string file = "evidence/08.4.2/sign-in.json";
    pack.PutJson(file,
                 "session.locked, session.unlocked, auth.failure, call.denied for mfa-required; "
                 "configuration",
                 {{"session_locks_after_idle_seconds",
                   setup.given ? Json(setup.session_idle.count() / 1000) : Json()},
                  {"session_ends_after_seconds",
                   setup.given ? Json(setup.session_max.count() / 1000) : Json()},
                  {"locked", locked_},
                  {"unlocked", unlocked_},
                  {"refused_for_want_of_a_second_factor", without_factor_},
                  {"roles_that_need_a_second_factor", setup.mfa_roles},
                  {"roles", roles},
                  {"refused_credentials", failures},
                  {"note",
                   "Which factors a person used is known to the identity provider; an entry of the "
                   "log has what the gateway demanded and refused."}});
    pack.Register(
        {"8.2.8", "8.3.1", "8.3.2", "8.3.4", "8.3.11", "8.4.1", "8.4.2", "8.4.3", "8.5.1"}, file,
        "Sign-in: idle locks, second factors, refusals", "entries and configuration",
        locked_ + unlocked_ + without_factor_, "summary");
    pack.Figure({"8.2.8"}, "locked", locked_);
    pack.Figure({"8.4.1", "8.4.2"}, "refused_for_want_of_a_second_factor", without_factor_);
    if (!setup.given) pack.Missing({"8.2.8"}, "the configuration was not given");
    if (setup.given && setup.session_idle > std::chrono::minutes(15))
      pack.Exception({"8.2.8"}, "sessions lock after more than 15 idle minutes");
    uint64_t refused = 0;
    for (const auto& [why, count] : failures_) refused += count;
    pack.Figure({"8.3.4"}, "refused_credentials", refused);
  }

  Csv leavers_;
  std::map<const Person*, Use> uses_;
  // In the order of names, not of addresses: the same log gives the same file.
  struct Less {
    template <class T>
    bool operator()(const T& a, const T& b) const {
      const auto key = [](const T& x) {
        return std::tie(x.first, x.second->issuer, x.second->subject, x.second->agent);
      };
      return key(a) < key(b);
    }
  };
  std::map<std::pair<std::string, const Person*>, RuleUse, Less> rules_, places_;
  std::map<std::string, uint64_t> failures_;
  uint64_t locked_ = 0, unlocked_ = 0, without_factor_ = 0;
};

}  // namespace

std::unique_ptr<Table> PeopleTable(Pack& pack) { return std::make_unique<People>(pack); }

}  // namespace sallyport::evidence_pack
