#include "policy/rules.h"

#include <algorithm>
#include <array>
#include <openssl/evp.h>
#include <set>

#include "base/bytes.h"
#include "policy/check.h"
#include "policy/grant.h"
#include "policy/step_up.h"
#include "policy/survey.h"

namespace sallyport::policy {
namespace {

/// The canonical form: every field with its length in front, so that no two rule sets share one.
class Canonical {
 public:
  void Text(std::string_view s) { out_.append(std::to_string(s.size())).append(":").append(s); }
  void Number(uint64_t n) { Text(std::to_string(n)); }
  void List(const std::vector<std::string>& list) {
    Number(list.size());
    for (const auto& s : list) Text(s);
  }
  void Maybe(const std::optional<std::vector<std::string>>& list) {
    Number(list ? 1 : 0);
    if (list) List(*list);
  }
  void Maybe(std::optional<bool> b) { Number(!b ? 2 : *b ? 1 : 0); }
  void Sql(const SqlScope& sql);
  void Rule(const RuleSpec& rule);
  std::string Digest() const;

 private:
  std::string out_;
};

void Canonical::Sql(const SqlScope& sql) {
  for (const auto* list : {&sql.statements, &sql.relations, &sql.columns_allow, &sql.columns_deny,
                           &sql.functions_allow, &sql.functions_deny}) {
    List(*list);
  }
  Maybe(sql.require_where);
  Maybe(sql.unbounded);
  Number(sql.max_rows);
}

void Canonical::Rule(const RuleSpec& rule) {
  Text(rule.id);
  Number(static_cast<uint64_t>(rule.effect));
  Text(rule.approval);
  List(rule.who);
  Text(rule.connection);
  Number(rule.labels.size());
  for (const auto& [key, value] : rule.labels) Text(key), Text(value);
  for (const auto* list : {&rule.tools, &rule.prompts, &rule.resources}) Maybe(*list);
  Number(rule.args.size());
  for (const auto& arg : rule.args) {
    Text(arg.path);
    Number(static_cast<uint64_t>(arg.test));
    List(arg.values);
  }
  Number(rule.sql ? 1 : 0);
  if (rule.sql) Sql(*rule.sql);
  Number(rule.rate ? 1 : 0);
  if (rule.rate) Number(rule.rate->calls), Number(rule.rate->period_seconds);
  // What earlier versions did not know does not change the digest of what they knew.
  if (rule.require.any())
    Text("require"), Number(rule.require.mfa), Number(rule.require.max_age_seconds);
  Text(rule.message);
}

std::string Canonical::Digest() const {
  std::array<uint8_t, EVP_MAX_MD_SIZE> digest{};
  unsigned size = 0;
  EVP_Digest(out_.data(), out_.size(), digest.data(), &size, EVP_sha256(), nullptr);
  return HexEncode(ByteView(digest.data(), size)).substr(0, 16);
}

using Impl = RuleSet::Impl;
using Matched = std::vector<uint32_t>;

void AddIds(const Impl& impl, const Matched& rules, op::Decision& decision) {
  decision.rules.reserve(rules.size());
  for (uint32_t i : rules) decision.rules.push_back(impl.ids[i]);
}

void AddMessage(const Impl& impl, const Matched& rules, op::Decision& decision) {
  auto first = std::ranges::find_if(rules, [&](uint32_t i) { return impl.HasMessage(i); });
  if (first != rules.end()) decision.message = impl.rules[*first].spec.message;
}

void AddObligations(const Impl& impl, const Matched& rules, op::Obligations& obligations) {
  for (uint32_t i : rules) {
    if (!impl.HasObligations(i)) continue;
    const Rule& rule = impl.rules[i];
    if (rule.spec.rate) {
      obligations.rates.push_back(
          {rule.spec.id, rule.spec.rate->calls, rule.spec.rate->period_seconds});
    }
    op::StepUp& step_up = obligations.step_up;
    step_up.mfa |= rule.spec.require.mfa;
    if (const uint32_t age = rule.spec.require.max_age_seconds; age != 0)
      step_up.max_age_seconds =
          step_up.max_age_seconds == 0 ? age : std::min(step_up.max_age_seconds, age);
    uint64_t rows = rule.sql ? rule.sql->max_rows() : 0;
    if (rows != 0)
      obligations.max_rows =
          obligations.max_rows == 0 ? rows : std::min(obligations.max_rows, rows);
  }
}

op::Decision Deny(Errc reason, std::string why) {
  op::Decision decision;
  decision.reason = reason;
  decision.why = std::move(why);
  return decision;
}

/// The reason if the operation is not completely understood.
std::optional<Errc> Incomplete(const op::Operation& operation) {
  auto reason = [](const op::Completeness& known) {
    return known.reason == ReasonCode(Errc::sql_unparsable) ? Errc::sql_unparsable
                                                            : Errc::argument_unclassifiable;
  };
  if (!operation.known.complete) return reason(operation.known);
  for (const auto& text : operation.sql) {
    if (!text.known.complete) return reason(text.known);
  }
  return std::nullopt;
}

/// What the rules that matched say.
struct Sides {
  Matched denies, approves, allows;
  Matched grants;  // of `approves`: those that let the operation through once approved
};

Sides TakeSides(const Impl& impl, const Question& question, const Matched& matched) {
  Sides sides;
  sides.allows.reserve(matched.size());
  for (uint32_t i : matched) {
    switch (impl.Effect(i)) {
      case op::Verdict::deny:
        sides.denies.push_back(i);
        break;
      case op::Verdict::allow:
        sides.allows.push_back(i);
        break;
      case op::Verdict::approve:
        sides.approves.push_back(i);
        if (SpeaksAsGrant(impl.rules[i], question)) sides.grants.push_back(i);
        break;
    }
  }
  return sides;
}

/// Against the first statement that neither an allow nor an approve rule covers.
SqlObjection FirstUncovered(const Impl& impl, const Sides& sides, const Question& question) {
  for (const auto* statement : question.statements) {
    SqlObjection first;
    auto covers = [&](uint32_t i) {
      auto objection = Grants(impl.rules[i], *statement);
      if (objection && !first) first = objection;
      return !objection;
    };
    if (std::ranges::any_of(sides.allows, covers) || std::ranges::any_of(sides.grants, covers))
      continue;
    return first;
  }
  return {};
}

op::Decision LetThrough(const Impl& impl, const Sides& sides) {
  op::Decision decision;
  AddObligations(impl, sides.allows, decision.obligations);
  if (sides.approves.empty()) {
    decision.effect = op::Verdict::allow;
    decision.why = "allowed by rule " + impl.ids[sides.allows[0]];
    AddIds(impl, sides.allows, decision);
    return decision;
  }
  AddObligations(impl, sides.approves, decision.obligations);
  const uint32_t first = sides.approves[0];
  decision.effect = op::Verdict::approve;
  decision.reason = Errc::approval_required;
  decision.approval = impl.rules[first].spec.approval;
  decision.why = "rule " + impl.ids[first] + " asks for approval by " + decision.approval;
  AddIds(impl, sides.approves, decision);
  AddMessage(impl, sides.approves, decision);
  return decision;
}

}  // namespace

RuleSet::RuleSet() : impl_(std::make_unique<Impl>()) {}
RuleSet::~RuleSet() = default;

Result<std::shared_ptr<const RuleSet>> RuleSet::Compile(RuleSetSpec spec) {
  std::shared_ptr<RuleSet> set(new RuleSet);
  std::set<std::string_view> ids;
  Canonical canonical;
  for (const auto& rule : spec.rules) {
    std::string name = "rule \"" + rule.id + "\": ";
    if (auto problems = CheckRule(rule, spec.approvals); !problems.empty()) {
      const auto& p = problems.front();
      return Fail(Errc::config_invalid,
                  name + p.field + ": " + p.what + (p.hint.empty() ? "" : "; " + p.hint));
    }
    if (!ids.insert(rule.id).second)
      return Fail(Errc::config_invalid, name + "the id is used twice");
    SALLYPORT_TRY(auto compiled, CompileRule(rule, set->impl_->table));
    set->impl_->Add(std::move(compiled));
    canonical.Rule(rule);
  }
  if (!spec.second_factors.empty()) canonical.List(spec.second_factors);
  set->impl_->second_factors =
      spec.second_factors.empty() ? DefaultSecondFactors() : std::move(spec.second_factors);
  set->impl_->Seal();
  set->impl_->version = canonical.Digest();
  return set;
}

op::Decision RuleSet::Decide(const op::Principal& who, const op::Operation& operation) const {
  if (operation.verb == op::Verb::protocol || operation.verb == op::Verb::list) {
    op::Decision decision;
    decision.effect = op::Verdict::allow;
    decision.why = "protocol messages and lists need no rule; lists show what the caller may use";
    return decision;
  }
  if (operation.resource.size() > kMaxResourceBytes) {
    return Deny(Errc::argument_unclassifiable, "the name of the resource is too long to be judged");
  }
  if (!who.groups_complete && GroupsMatter(operation.connection, operation.labels)) {
    return Deny(
        Errc::identity_incomplete,
        "the identity provider cut the list of groups, and rules of this connection depend on it");
  }

  Question question(impl_->table, who, operation);
  const Survey survey = impl_->Look(question);
  const Sides sides = TakeSides(*impl_, question, survey.matched);
  if (!sides.denies.empty()) {
    auto decision = Deny(Errc::rule_deny, "denied by rule " + impl_->ids[sides.denies[0]]);
    AddIds(*impl_, sides.denies, decision);
    AddMessage(*impl_, sides.denies, decision);
    return decision;
  }
  if (!survey.named) {
    auto decision =
        Deny(Errc::policy_default_deny, "no rule speaks of this resource for this caller");
    decision.hidden = true;
    return decision;
  }
  if (auto reason = Incomplete(operation)) {
    return Deny(*reason, *reason == Errc::sql_unparsable
                             ? "the SQL cannot be read with PostgreSQL's grammar"
                             : "the arguments cannot be read completely");
  }
  if (sides.allows.empty() && sides.grants.empty()) {
    return Deny(Errc::policy_default_deny,
                survey.objection ? "no rule covers the SQL: " + Describe(survey.objection)
                                 : "no rule allows this with these arguments");
  }
  if (auto objection = FirstUncovered(*impl_, sides, question)) {
    return Deny(Errc::policy_default_deny,
                "no rule covers every statement: " + Describe(objection));
  }
  op::Decision decision = LetThrough(*impl_, sides);
  if (who.grant) who.grant->Narrow(operation, who.session, decision);
  return decision;
}

bool RuleSet::GroupsMatter(std::string_view connection,
                           const std::map<std::string, std::string>* labels) const {
  return std::ranges::any_of(impl_->index.OfConnection(connection, labels), [&](uint32_t i) {
    const Rule& rule = impl_->rules[i];
    return rule.by_group && rule.ForConnection(connection, labels);
  });
}

bool RuleSet::Visible(const op::Principal& who, std::string_view connection,
                      const std::map<std::string, std::string>& labels, op::Verb verb,
                      std::string_view resource) const {
  if (resource.size() > kMaxResourceBytes) return false;
  if (who.grant && !who.grant->Visible(connection, verb, resource)) return false;
  if (!who.groups_complete && GroupsMatter(connection, &labels)) return false;
  auto selectors = impl_->table.Of(who);
  bool may = false;
  for (uint32_t i : impl_->index.Candidates(connection, &labels, verb, resource)) {
    if (!impl_->ForWho(i, selectors)) continue;
    const Rule& rule = impl_->rules[i];
    if (!rule.ForConnection(connection, &labels)) continue;
    if (!rule.Names(verb, resource, false, false)) continue;
    if (rule.spec.effect != op::Verdict::deny) {
      may = true;
    } else if (rule.unconditional()) {
      return false;
    }
  }
  return may;
}

const RuleSet::Impl& RuleSet::impl() const { return *impl_; }
const std::string& RuleSet::version() const { return impl_->version; }
const std::vector<std::string>& RuleSet::second_factors() const { return impl_->second_factors; }
size_t RuleSet::size() const { return impl_->rules.size(); }

std::vector<std::string> RuleSet::rule_ids() const { return impl_->ids; }

}  // namespace sallyport::policy
