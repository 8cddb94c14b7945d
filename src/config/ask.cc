#include "config/ask.h"

#include <algorithm>
#include <vector>

#include "config/fields.h"
#include "config/sql_arguments.h"
#include "policy/glob.h"
#include "sql/classify.h"

namespace sallyport::config {
namespace {

std::unexpected<Error> Bad(std::string what) { return Fail(Errc::config_invalid, std::move(what)); }

template <class T>
std::string SuggestName(std::string_view name, const std::vector<T>& all) {
  std::vector<std::string_view> names;
  for (const auto& one : all) names.push_back(one.name);
  auto text = Suggest(name, names);
  return text.empty() ? "" : "; " + text;
}

}  // namespace

Result<> Ask::SetConnection(const Root& root, std::string_view name) {
  auto at = std::ranges::find(root.connections, name, &Connection::name);
  if (at == root.connections.end()) {
    return Bad("there is no connection \"" + std::string(name) + "\"" +
               SuggestName(name, root.connections));
  }
  configured_ = &*at;
  connection_ = name;
  operation_.connection = connection_;
  operation_.labels = &at->labels;
  return {};
}

Result<> Ask::ReadSqlArguments() {
  if (!configured_->mcp) return {};
  for (const auto& argument : configured_->mcp->sql_arguments) {
    auto glob = policy::Glob::Make(argument.tool);
    auto path = SplitSqlPath(argument.path);
    if (!glob || !path) return Bad("sql_arguments of " + connection_ + " cannot be used");
    if (glob->Matches(resource_)) ReadSqlAt(operation_.arguments, *path, operation_.sql);
  }
  return {};
}

Result<std::unique_ptr<Ask>> Ask::Call(const Root& root, std::string call_json) {
  std::unique_ptr<Ask> ask(new Ask);
  ask->text_ = std::move(call_json);
  auto document = json::Document::Parse(ask->text_);
  if (!document) return Bad("the call is not JSON: " + document.error().detail);
  ask->document_ = std::move(*document);
  auto call = ask->document_.root();
  if (!call.is(json::Kind::object))
    return Bad("the call must be an object with connection, tool and args");
  static const std::vector<std::string_view> kKeys{"connection", "tool", "args", "prompt",
                                                   "resource"};
  for (auto member = call.first(); member; member = member.next()) {
    if (std::ranges::find(kKeys, member.key()) == kKeys.end()) {
      return Bad("unknown key \"" + std::string(member.key()) + "\" in the call; " +
                 Suggest(member.key(), kKeys));
    }
  }
  SALLYPORT_CHECK(ask->SetConnection(root, call["connection"].string().value_or("")));
  op::Operation& operation = ask->operation_;
  int kinds = 0;
  for (auto [key, verb, method] :
       {std::tuple("tool", op::Verb::tool_call, "tools/call"),
        std::tuple("prompt", op::Verb::prompt_get, "prompts/get"),
        std::tuple("resource", op::Verb::resource_read, "resources/read")}) {
    auto name = call[key].string();
    if (!name) continue;
    ++kinds;
    ask->resource_ = *name;
    operation.verb = verb;
    operation.method = method;
  }
  if (kinds != 1) return Bad("the call needs exactly one of tool, prompt and resource");
  operation.resource = ask->resource_;
  operation.arguments = call["args"];
  if (operation.arguments && !operation.arguments.is(json::Kind::object))
    return Bad("args must be an object");
  operation.effect = op::Effect::call;
  if (operation.verb == op::Verb::tool_call) SALLYPORT_CHECK(ask->ReadSqlArguments());
  return ask;
}

Result<std::unique_ptr<Ask>> Ask::Sql(const Root& root, std::string connection, std::string text) {
  std::unique_ptr<Ask> ask(new Ask);
  SALLYPORT_CHECK(ask->SetConnection(root, connection));
  ask->text_ = std::move(text);
  ask->resource_ = std::move(connection);
  op::Operation& operation = ask->operation_;
  operation.verb = op::Verb::sql;
  operation.method = "query";
  operation.resource = ask->resource_;
  operation.sql.push_back(sql::Classify(ask->text_));
  operation.effect = operation.sql.back().worst;
  return ask;
}

Result<op::Principal> ReadIdentity(const Root& root, std::string_view text) {
  op::Principal who{.issuer = "test", .token_class = "access"};
  while (!text.empty()) {
    auto part = text.substr(0, text.find(','));
    text.remove_prefix(std::min(part.size() + 1, text.size()));
    auto colon = part.find(':');
    auto name = colon == std::string_view::npos ? std::string_view() : part.substr(colon + 1);
    auto kind = part.substr(0, colon);
    if (name.empty() || (kind != "agent" && kind != "user" && kind != "group")) {
      return Bad("\"" + std::string(part) +
                 "\" names nobody; write agent:NAME or user:NAME, and ,group:NAME behind it");
    }
    if (kind == "group") {
      who.groups.emplace_back(name);
      continue;
    }
    if (!who.subject.empty())
      return Bad("an identity is one agent or one user; only groups may follow");
    who.subject = name;
    who.name = name;
    if (kind == "user") continue;
    auto agent = std::ranges::find(root.agents, name, &identity::AgentConfig::name);
    if (agent == root.agents.end()) {
      return Bad("there is no agent \"" + std::string(name) + "\"" +
                 SuggestName(name, root.agents));
    }
    who.agent = name;
    who.owner = agent->owner;
  }
  if (who.subject.empty() && who.groups.empty())
    return Bad("write agent:NAME or user:NAME, and ,group:NAME behind it");
  return who;
}

}  // namespace sallyport::config
