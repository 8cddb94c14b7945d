#include <algorithm>

#include "config/sections.h"
#include "json/document.h"
#include "policy/check.h"
#include "policy/decimal.h"

namespace sallyport::config {
namespace {

using policy::ArgMatcher;

/// A YAML scalar as a JSON literal. Quoted text stays text; 100 and true are what they look like.
std::string Literal(const Node& node) {
  if (node.is(Node::Kind::null)) return "null";
  if (!node.quoted &&
      (node.text == "true" || node.text == "false" || policy::Decimal::Parse(node.text)))
    return node.text;
  return json::Quote(node.text);
}

bool ReadTest(Context& context, const Node::Member& member, const std::string& where,
              ArgMatcher& matcher) {
  static const std::vector<std::pair<std::string_view, ArgMatcher::Test>> kTests{
      {"eq", ArgMatcher::Test::eq},           {"in", ArgMatcher::Test::in},
      {"lt", ArgMatcher::Test::lt},           {"lte", ArgMatcher::Test::lte},
      {"gt", ArgMatcher::Test::gt},           {"gte", ArgMatcher::Test::gte},
      {"matches", ArgMatcher::Test::matches}, {"absent", ArgMatcher::Test::absent},
      {"present", ArgMatcher::Test::present}};
  auto known =
      std::ranges::find(kTests, member.key, &std::pair<std::string_view, ArgMatcher::Test>::first);
  if (known == kTests.end()) {
    std::vector<std::string_view> names;
    for (const auto& [name, test] : kTests) names.push_back(name);
    context.Error(member.mark, kCfgUnknownKey, "unknown test \"" + member.key + "\" in " + where,
                  Suggest(member.key, names));
    return false;
  }
  matcher.test = known->second;
  const Node& value = member.value;
  if (matcher.test == ArgMatcher::Test::absent || matcher.test == ArgMatcher::Test::present) {
    if (!value.is(Node::Kind::scalar) || (value.text != "true" && value.text != "false")) {
      context.Error(value.mark, kCfgWrongType, where + "." + member.key + " must be true or false");
      return false;
    }
    bool inverted = value.text == "false";
    if (inverted)
      matcher.test = matcher.test == ArgMatcher::Test::absent ? ArgMatcher::Test::present
                                                              : ArgMatcher::Test::absent;
    return true;
  }
  if (matcher.test == ArgMatcher::Test::in) {
    if (!value.is(Node::Kind::sequence)) {
      context.Error(value.mark, kCfgWrongType, where + ".in must be a list", "write in: [A, B]");
      return false;
    }
    for (const Node& item : value.items) {
      if (item.is(Node::Kind::scalar) || item.is(Node::Kind::null)) {
        matcher.values.push_back(Literal(item));
      } else {
        context.Error(item.mark, kCfgWrongType,
                      "an element of " + where + ".in must be a plain value");
      }
    }
    return true;
  }
  if (!value.is(Node::Kind::scalar) && !value.is(Node::Kind::null)) {
    context.Error(value.mark, kCfgWrongType, where + "." + member.key + " must be a plain value");
    return false;
  }
  matcher.values = {matcher.test == ArgMatcher::Test::matches ? value.text : Literal(value)};
  return true;
}

/// Where things of a rule stand, by the field names of policy::RuleProblem.
using FieldMarks = std::map<std::string, Mark>;

void ReadArgs(Context& context, const Node& node, const std::string& where, policy::RuleSpec& rule,
              FieldMarks& marks) {
  if (!node.is(Node::Kind::map)) {
    context.Error(node.mark, kCfgWrongType, where + " must be a map",
                  "write args: { amount: { lte: 100 } }");
    return;
  }
  for (const auto& argument : node.members) {
    std::string here = where + "." + argument.key;
    marks["on.args." + argument.key] = argument.mark;
    if (!argument.value.is(Node::Kind::map) || argument.value.members.empty()) {
      context.Error(argument.value.mark, kCfgWrongType, here + " must say a test",
                    "write { eq: VALUE }, { in: [A, B] } or { lte: 100 }");
      continue;
    }
    for (const auto& test : argument.value.members) {
      ArgMatcher matcher{.path = argument.key};
      if (ReadTest(context, test, here, matcher)) {
        if (auto problem = policy::CheckMatcher(matcher)) {
          context.Error(test.value.mark, kCfgBadValue, *problem);
        } else {
          rule.args.push_back(std::move(matcher));
        }
      }
    }
  }
}

void ReadAllowDeny(Context& context, const Node* node, const std::string& where,
                   std::vector<std::string>& allow, std::vector<std::string>& deny) {
  if (node == nullptr) return;
  Fields fields(context, *node, where);
  allow = fields.Texts("allow");
  deny = fields.Texts("deny");
  fields.Done();
}

policy::SqlScope ReadSql(Context& context, const Node& node, const std::string& where,
                         FieldMarks& marks) {
  Fields fields(context, node, where);
  policy::SqlScope sql;
  sql.statements = fields.Texts("statements");
  sql.relations = fields.Texts("relations");
  ReadAllowDeny(context, fields.Get("columns"), where + ".columns", sql.columns_allow,
                sql.columns_deny);
  ReadAllowDeny(context, fields.Get("functions"), where + ".functions", sql.functions_allow,
                sql.functions_deny);
  sql.require_where = fields.Bool("require_where");
  sql.unbounded = fields.Bool("unbounded");
  sql.max_rows = fields.Count("max_rows", 1, uint64_t{1} << 40).value_or(0);
  for (const char* key : {"statements", "relations", "columns", "functions", "max_rows"}) {
    marks["on.sql." + std::string(key)] = fields.MarkOf(key);
  }
  fields.Done();
  return sql;
}

std::optional<std::vector<std::string>> Names(Fields& fields, std::string_view key) {
  if (fields.Get(key) == nullptr) return std::nullopt;
  return fields.Texts(key);
}

void ReadOn(Context& context, const Node& node, const std::string& where, policy::RuleSpec& rule,
            FieldMarks& marks, Places& places) {
  Fields fields(context, node, where);
  rule.connection = fields.Text("connection").value_or("");
  if (!rule.connection.empty())
    places.connections.push_back({fields.ValueMark("connection"), where, rule.connection});
  for (auto& [key, value] : fields.TextMap("labels")) rule.labels[key] = value;
  rule.tools = Names(fields, "tools");
  rule.prompts = Names(fields, "prompts");
  rule.resources = Names(fields, "resources");
  for (const char* key : {"connection", "labels", "tools", "prompts", "resources", "args", "sql"}) {
    marks["on." + std::string(key)] = fields.MarkOf(key);
  }
  if (const Node* args = fields.Get("args")) ReadArgs(context, *args, where + ".args", rule, marks);
  if (const Node* sql = fields.Get("sql")) rule.sql = ReadSql(context, *sql, where + ".sql", marks);
  fields.Done();
}

std::optional<op::Rate> ReadRate(Context& context, const Node& node, const std::string& where) {
  using namespace std::chrono_literals;
  Fields fields(context, node, where);
  fields.Require("calls", "write rate: { calls: 60, per: 1m }");
  fields.Require("per", "write rate: { calls: 60, per: 1m }");
  auto calls = fields.Count("calls", 1, 10'000'000);
  auto per = fields.Duration("per", 1s, 31 * 24h);
  fields.Done();
  if (!calls || !per) return std::nullopt;
  return op::Rate{.calls = static_cast<uint32_t>(*calls),
                  .period_seconds = static_cast<uint32_t>(per->count() / 1000)};
}

op::StepUp ReadRequire(Context& context, const Node& node, const std::string& where) {
  using namespace std::chrono_literals;
  Fields fields(context, node, where);
  op::StepUp require;
  require.mfa = fields.Bool("mfa").value_or(false);
  if (const auto age = fields.Duration("max_age", 1s, 24h))
    require.max_age_seconds = static_cast<uint32_t>(age->count() / 1000);
  fields.Done();
  if (!require.any())
    context.Error(node.mark, kCfgMissingKey, where + " demands nothing",
                  "write require: { mfa: true, max_age: 5m }");
  return require;
}

void ReportRule(Context& context, const policy::RuleSpec& rule, const Root& root,
                const FieldMarks& marks, Mark mark) {
  std::vector<std::string> approvals;
  for (const auto& approval : root.approvals) approvals.push_back(approval.name);
  for (auto& problem : policy::CheckRule(rule, approvals)) {
    if (problem.field == "id") continue;  // reported by the reader, or a consequence of it
    auto at = marks.find(problem.field);
    bool name = problem.field == "approval" && !rule.approval.empty() &&
                rule.effect == op::Verdict::approve;
    context.Error(at == marks.end() ? mark : at->second, name ? kCfgUnknownName : kCfgRule,
                  "rule \"" + rule.id + "\": " + problem.what, problem.hint);
  }
}

void ReadRule(Context& context, const Node& node, size_t index, Root& root, Places& places) {
  Fields fields(context, node, "policies[" + std::to_string(index) + "]");
  size_t before = context.problems.size();
  policy::RuleSpec rule;
  FieldMarks marks;
  rule.id = fields.RequiredText("id", "add id: a short name; it stands in every decision");
  bool named = CheckName(context, fields.ValueMark("id"), "rule", rule.id, places.rule_marks);
  std::string where = named ? "policies." + rule.id : fields.where();
  fields.Require("effect", "write allow, approve or deny");
  if (auto effect = fields.Choice("effect", {"allow", "approve", "deny"})) {
    rule.effect = *effect == "allow"     ? op::Verdict::allow
                  : *effect == "approve" ? op::Verdict::approve
                                         : op::Verdict::deny;
  }
  rule.approval = fields.Text("approval").value_or("");
  fields.Require("who", "write who: [any], or group:, user:, agent: names");
  rule.who = ReadWho(fields, "who", true, places);
  if (const Node* on =
          fields.Require("on", "write on: { connection: NAME } or on: { labels: { … } }")) {
    ReadOn(context, *on, where + ".on", rule, marks, places);
  }
  if (const Node* rate = fields.Get("rate")) rule.rate = ReadRate(context, *rate, where + ".rate");
  if (const Node* require = fields.Get("require"))
    rule.require = ReadRequire(context, *require, where + ".require");
  rule.message = fields.Text("message").value_or("");
  for (const char* key : {"id", "who", "approval", "rate", "require", "effect"})
    marks[key] = fields.MarkOf(key);
  fields.Done();
  // A rule that could not be read would only be reported again for what is missing in it.
  bool read = std::none_of(context.problems.begin() + static_cast<std::ptrdiff_t>(before),
                           context.problems.end(),
                           [](const Problem& p) { return p.severity == Severity::error; });
  if (read) ReportRule(context, rule, root, marks, node.mark);
  if (read && rule.effect != op::Verdict::deny && rule.connection.empty() && rule.labels.empty()) {
    context.Warn(fields.MarkOf("on"), kCfgNoEffect,
                 "rule \"" + rule.id + "\" applies to every connection, present and future",
                 "add connection or labels");
  }
  root.policies.rules.push_back(std::move(rule));
}

}  // namespace

void ReadPolicies(Context& context, const std::vector<Node>& nodes, Root& root, Places& places) {
  for (const auto& approval : root.approvals) root.policies.approvals.push_back(approval.name);
  for (size_t i = 0; i < nodes.size(); ++i) ReadRule(context, nodes[i], i, root, places);
}

}  // namespace sallyport::config
