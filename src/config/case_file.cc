#include "config/case_file.h"

#include <algorithm>

#include "json/document.h"
#include "policy/decimal.h"

namespace sallyport::config {
namespace {

using Identities = std::map<std::string, op::Principal>;

op::Principal ReadPerson(Context& context, const Node& node, const Root& root,
                         const std::string& where) {
  Fields fields(context, node, where);
  op::Principal who{.issuer = "test", .token_class = "access"};
  auto agent = fields.Text("agent");
  auto user = fields.Text("user");
  if (!agent == !user) {
    context.Error(node.mark, agent ? kCfgConflict : kCfgMissingKey,
                  where + " needs exactly one of agent and user",
                  "write { agent: NAME } or { user: NAME, groups: [NAME] }");
  }
  if (agent) {
    auto known = std::ranges::find(root.agents, *agent, &identity::AgentConfig::name);
    if (known == root.agents.end()) {
      context.Error(fields.ValueMark("agent"), kCfgUnknownName,
                    where + ": there is no agent \"" + *agent + "\"",
                    "define it under identity.agents of the configuration");
    } else {
      who.owner = known->owner;
    }
    who.agent = *agent;
  }
  who.name = user.value_or(agent.value_or(""));
  who.subject = fields.Text("subject").value_or(who.name);
  if (auto issuer = fields.Text("issuer")) who.issuer = *issuer;
  who.groups = fields.Texts("groups");
  who.groups_complete = fields.Bool("groups_complete").value_or(true);
  fields.Done();
  return who;
}

std::vector<std::string> OneOrMore(Fields& fields, std::string_view key) {
  const Node* node = fields.Get(key);
  if (node == nullptr) return {};
  if (node->is(Node::Kind::sequence)) return fields.Texts(key);
  auto text = fields.Text(key);
  return text ? std::vector<std::string>{*text} : std::vector<std::string>{};
}

Expectation ReadExpectation(Context& context, const Node& node, const Root& root,
                            const std::string& where) {
  Fields fields(context, node, where);
  Expectation expect;
  if (auto word = fields.Choice("decision", {"allow", "approve", "deny"})) {
    expect.decision = *word == "allow"  ? op::Verdict::allow
                      : *word == "deny" ? op::Verdict::deny
                                        : op::Verdict::approve;
  }
  if (fields.Get("rules") != nullptr) expect.rules = fields.Texts("rules");
  for (const auto& id : expect.rules.value_or(std::vector<std::string>{})) {
    std::vector<std::string_view> ids;
    for (const auto& rule : root.policies.rules) ids.push_back(rule.id);
    if (std::ranges::find(ids, id) == ids.end()) {
      context.Error(fields.ValueMark("rules"), kCfgUnknownName,
                    where + ".rules: there is no rule \"" + id + "\"", Suggest(id, ids));
    }
  }
  expect.approval = fields.Text("approval");
  expect.reason = fields.Text("reason");
  expect.reply_lacks = OneOrMore(fields, "reply_lacks");
  expect.reply_contains = OneOrMore(fields, "reply_contains");
  if (const Node* masked = fields.Get("masked")) {
    Fields f(context, *masked, where + ".masked");
    for (const auto& member : masked->members) {
      if (auto count = f.Count(member.key, 0, 1'000'000)) expect.masked[member.key] = *count;
    }
  }
  fields.Done();
  if (!expect.decision && node.is(Node::Kind::map) && expect.masked.empty() &&
      expect.reply_lacks.empty() && expect.reply_contains.empty()) {
    context.Error(node.mark, kCfgMissingKey, where + " expects nothing",
                  "write decision: allow, approve or deny");
  }
  return expect;
}

std::unique_ptr<Ask> ReadAsk(Context& context, Fields& fields, const Root& root) {
  const Node* call = fields.Get("call");
  const Node* sql = fields.Get("sql");
  if ((call != nullptr) == (sql != nullptr)) {
    context.Error(fields.MarkOf("call"), kCfgMissingKey,
                  fields.where() + " needs exactly one of call and sql", "keep one");
    return nullptr;
  }
  Result<std::unique_ptr<Ask>> ask = Fail(Errc::config_invalid);
  if (call != nullptr) {
    ask = Ask::Call(root, ToJson(*call));
  } else {
    Fields f(context, *sql, fields.where() + ".sql");
    auto connection = f.RequiredText("connection", "name one of connections");
    auto text = f.RequiredText("text", "write the statement");
    f.Done();
    ask = Ask::Sql(root, connection, text);
  }
  if (ask) return std::move(*ask);
  context.Error((call != nullptr ? call : sql)->mark, kCfgBadValue,
                fields.where() + ": " + ask.error().detail);
  return nullptr;
}

std::optional<PolicyCase> ReadCase(Context& context, const Node& node, size_t index,
                                   const Root& root, const Identities& identities) {
  size_t before = context.problems.size();
  Fields fields(context, node, "tests[" + std::to_string(index) + "]");
  PolicyCase test{.file = context.file, .line = node.mark.line};
  test.name = fields.RequiredText("name", "say in words what must hold");
  auto as = fields.RequiredText("as", "name one of identities");
  if (auto who = identities.find(as); who != identities.end()) {
    test.who = who->second;
  } else if (!as.empty()) {
    context.Error(fields.ValueMark("as"), kCfgUnknownName,
                  fields.where() + ": there is no identity \"" + as + "\"",
                  "define it under identities");
  }
  test.ask = ReadAsk(context, fields, root);
  if (const Node* reply = fields.Get("reply")) test.reply = ToJson(*reply);
  if (const Node* expect = fields.Require("expect", "write expect: { decision: allow }")) {
    test.expect = ReadExpectation(context, *expect, root, fields.where() + ".expect");
  }
  bool about_reply = !test.expect.masked.empty() || !test.expect.reply_lacks.empty() ||
                     !test.expect.reply_contains.empty();
  if (about_reply && !test.reply) {
    context.Error(node.mark, kCfgMissingKey,
                  fields.where() + " expects something of a reply, and there is none",
                  "add reply: { … }");
  }
  fields.Done();
  if (context.problems.size() != before) return std::nullopt;
  return test;
}

}  // namespace

std::string ToJson(const Node& node) {
  switch (node.kind) {
    case Node::Kind::null:
      return "null";
    case Node::Kind::scalar: {
      bool plain = node.text == "true" || node.text == "false" || policy::Decimal::Parse(node.text);
      return !node.quoted && plain ? node.text : json::Quote(node.text);
    }
    case Node::Kind::sequence: {
      std::string out = "[";
      for (const auto& item : node.items) out += (out.size() > 1 ? "," : "") + ToJson(item);
      return out + "]";
    }
    case Node::Kind::map: {
      std::string out = "{";
      for (const auto& member : node.members) {
        out += (out.size() > 1 ? "," : "") + json::Quote(member.key) + ":" + ToJson(member.value);
      }
      return out + "}";
    }
  }
  return "null";
}

std::vector<PolicyCase> ReadCases(Context& context, const Root& root, const Node& tree) {
  Fields top(context, tree, "the test file");
  Identities identities;
  if (const Node* node = top.Require("identities", "add identities: { bot: { agent: NAME } }")) {
    for (const auto& member : node->members) {
      identities[member.key] = ReadPerson(context, member.value, root, "identities." + member.key);
    }
  }
  std::vector<PolicyCase> cases;
  top.Require("tests", "add tests: [ … ]");
  const auto& tests = top.List("tests");
  for (size_t i = 0; i < tests.size(); ++i) {
    if (auto test = ReadCase(context, tests[i], i, root, identities))
      cases.push_back(std::move(*test));
  }
  top.Done();
  return cases;
}

}  // namespace sallyport::config
