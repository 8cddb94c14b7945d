#include <algorithm>

#include "config/sections.h"
#include "config/sql_arguments.h"
#include "policy/glob.h"

namespace sallyport::config {
namespace {

constexpr std::string_view kAdminDatabase = "sallyport";

void CheckGlob(Context& context, Mark mark, const std::string& where, const std::string& pattern) {
  if (pattern.empty()) return;
  if (auto glob = policy::Glob::Make(pattern); !glob) {
    context.Error(mark, kCfgBadValue, where + ": " + glob.error().detail);
  }
}

McpHttp ReadHttp(Context& context, const Node& node, const std::string& where) {
  Fields fields(context, node, where);
  McpHttp http;
  http.url = fields.RequiredText("url", "write the MCP server's URL");
  CheckUrl(fields, "url", http.url, true);
  if (const Node* auth = fields.Get("auth")) http.auth = ReadUpstreamAuth(context, *auth, where + ".auth", http.url);
  if (auto ca = fields.Path("ca")) http.ca = *ca;
  fields.Done();
  return http;
}

McpStdio ReadStdio(Context& context, const Node& node, const std::string& where) {
  Fields fields(context, node, where);
  McpStdio stdio;
  if (fields.Require("command", "write command: [PROGRAM, ARGUMENT, …]") != nullptr) {
    stdio.command = fields.Texts("command");
    if (stdio.command.empty() && fields.Get("command")->is(Node::Kind::sequence)) {
      context.Error(fields.ValueMark("command"), kCfgBadValue, where + ".command is empty",
                    "name a program");
    }
  }
  if (const Node* env = fields.Get("env")) {
    if (!env->is(Node::Kind::map)) {
      context.Error(env->mark, kCfgWrongType, where + ".env must be a map",
                    "write { NAME: { env: NAME } }");
    }
    for (const auto& member : env->members) {
      auto ref = ReadSecret(context, member.value, where + ".env." + member.key);
      if (ref) stdio.env[member.key] = *ref;
    }
  }
  if (auto limit = fields.Size("memory_limit", 16 << 20, kAnySize)) stdio.memory_limit = *limit;
  fields.Done();
  return stdio;
}

SqlArgument ReadSqlArgument(Context& context, const Node& node, const std::string& where) {
  Fields fields(context, node, where);
  SqlArgument argument;
  argument.tool = fields.RequiredText("tool", "name the tool whose argument holds SQL");
  CheckGlob(context, fields.ValueMark("tool"), where + ".tool", argument.tool);
  argument.path = fields.RequiredText("path", "write where the SQL stands, such as $.sql");
  if (!argument.path.empty() && !SplitSqlPath(argument.path)) {
    context.Error(fields.ValueMark("path"), kCfgBadValue,
                  where + ".path does not name one argument",
                  "write $.name, $.outer.name, $.list[0] or $.list[*].name");
  }
  argument.dialect = fields.Choice("dialect", {"postgresql"}).value_or("postgresql");
  fields.Done();
  return argument;
}

ContentRule ReadContentRule(Context& context, const Node& node, const std::string& where) {
  Fields fields(context, node, where);
  ContentRule rule;
  rule.type = fields.RequiredText("type", "write a MIME type, such as image/*");
  CheckGlob(context, fields.ValueMark("type"), where + ".type", rule.type);
  fields.Require("action", "write refuse, strip or pass");
  if (auto action = fields.Choice("action", {"refuse", "strip", "pass"})) {
    rule.action = *action == "pass"    ? OpaqueAction::pass
                  : *action == "strip" ? OpaqueAction::strip
                                       : OpaqueAction::refuse;
  }
  fields.Done();
  return rule;
}

void ReadMcpLists(Context& context, Fields& fields, Mcp& mcp) {
  const auto& where = fields.where();
  size_t n = 0;
  for (const Node& item : fields.List("sql_arguments")) {
    mcp.sql_arguments.push_back(
        ReadSqlArgument(context, item, where + ".sql_arguments[" + std::to_string(n++) + "]"));
  }
  mcp.read_only = fields.Texts("read_only");
  for (const auto& tool : mcp.read_only)
    CheckGlob(context, fields.ValueMark("read_only"), where + ".read_only", tool);
  n = 0;
  for (const Node& item : fields.List("content")) {
    mcp.content.push_back(
        ReadContentRule(context, item, where + ".content[" + std::to_string(n++) + "]"));
  }
}

Mcp ReadMcp(Context& context, const Node& node, const std::string& where) {
  Fields fields(context, node, where);
  Mcp mcp;
  const Node* http = fields.Get("http");
  const Node* stdio = fields.Get("stdio");
  if ((http != nullptr) == (stdio != nullptr)) {
    context.Error(node.mark, http != nullptr ? kCfgConflict : kCfgMissingKey,
                  where + " needs exactly one of http and stdio",
                  "keep one: http: { url: … } or stdio: { command: [ … ] }");
  } else if (http != nullptr) {
    mcp.upstream = ReadHttp(context, *http, where + ".http");
  } else {
    mcp.upstream = ReadStdio(context, *stdio, where + ".stdio");
  }
  if (const Node* pin = fields.Get("pin_tools");
      pin != nullptr && pin->is(Node::Kind::scalar) && pin->text == "false") {
    mcp.pin_tools = PinTools::off;  // what YAML 1.1 tools make of the word off
  } else if (auto word = fields.Choice("pin_tools", {"off", "review", "deny"})) {
    mcp.pin_tools = *word == "review" ? PinTools::review
                    : *word == "deny" ? PinTools::deny
                                      : PinTools::off;
  }
  ReadMcpLists(context, fields, mcp);
  mcp.server_requests = fields.Bool("server_requests").value_or(true);
  fields.Done();
  return mcp;
}

void ReadConnection(Context& context, const Node& node, size_t index, Root& root,
                    std::map<std::string, Mark>& names) {
  Fields fields(context, node, "connections[" + std::to_string(index) + "]");
  Connection connection;
  connection.name = fields.RequiredText("name", "add name: it stands in the URL and in rules");
  CheckName(context, fields.ValueMark("name"), "connection", connection.name, names);
  std::string where =
      "connections." + (connection.name.empty() ? std::to_string(index) : connection.name);
  for (auto& [key, value] : fields.TextMap("labels")) connection.labels[key] = value;
  const Node* mcp = fields.Get("mcp");
  const Node* postgres = fields.Get("postgres");
  if ((mcp != nullptr) == (postgres != nullptr)) {
    context.Error(node.mark, mcp != nullptr ? kCfgConflict : kCfgMissingKey,
                  where + " needs exactly one of mcp and postgres", "keep one");
  } else if (mcp != nullptr) {
    connection.mcp = ReadMcp(context, *mcp, where + ".mcp");
  } else {
    if (connection.name == kAdminDatabase) {
      context.Error(fields.ValueMark("name"), kCfgConflict,
                    "the database name \"sallyport\" is taken: it answers SHOW of the gate itself",
                    "give the connection another name");
    }
    connection.postgres = ReadPostgres(context, *postgres, where + ".postgres");
  }
  fields.Done();
  root.connections.push_back(std::move(connection));
}

}  // namespace

void ReadConnections(Context& context, const std::vector<Node>& nodes, Root& root) {
  std::map<std::string, Mark> names;
  for (size_t i = 0; i < nodes.size(); ++i) ReadConnection(context, nodes[i], i, root, names);
}

}  // namespace sallyport::config
