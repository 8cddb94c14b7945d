#include "app/demo_mcp_server.h"

namespace sallyport::app {
namespace {

using nlohmann::json;

constexpr std::string_view kModern = "2026-07-28";

json Tool(std::string name, std::string description, json properties,
          std::vector<std::string> required, bool read_only) {
  return {{"name", std::move(name)},
          {"description", std::move(description)},
          {"inputSchema",
           {{"type", "object"},
            {"properties", std::move(properties)},
            {"required", std::move(required)}}},
          {"annotations", {{"readOnlyHint", read_only}, {"destructiveHint", !read_only}}}};
}

const json& Tools() {
  static const json tools{
      Tool("get_order", "One order by its id.", {{"id", {{"type", "string"}}}}, {"id"}, true),
      Tool("list_orders", "The latest orders.",
           {{"limit", {{"type", "integer"}, {"minimum", 1}, {"maximum", 100}}}}, {}, true),
      Tool("search_orders", "Orders of one customer.", {{"customer", {{"type", "string"}}}},
           {"customer"}, true),
      Tool("refund_order", "Pays an order back.",
           {{"order_id", {{"type", "string"}}},
            {"amount", {{"type", "number"}}},
            {"currency", {{"type", "string"}}}},
           {"order_id", "amount", "currency"}, false),
      Tool("export_all", "Every order as CSV.", json::object(), {}, false),
      Tool("execute_sql", "Runs SQL on the table orders.", {{"sql", {{"type", "string"}}}}, {"sql"},
           false),
  };
  return tools;
}

json Text(std::string text, bool error = false) {
  json result{{"content", {{{"type", "text"}, {"text", std::move(text)}}}}};
  if (error) result["isError"] = true;
  return result;
}

std::string StringOr(const json& object, const char* key, std::string fallback) {
  const auto it = object.find(key);
  return it != object.end() && it->is_string() ? it->get<std::string>() : fallback;
}

json Error(int code, std::string message) {
  return {{"error", {{"code", code}, {"message", std::move(message)}}}};
}

}  // namespace

DemoMcpServer::DemoMcpServer(std::unique_ptr<DemoOrders> orders, std::string url,
                             std::string credential)
    : orders_(std::move(orders)), url_(std::move(url)), credential_(std::move(credential)) {}

Result<std::unique_ptr<DemoMcpServer>> DemoMcpServer::Start(net::Shards& shards, uint16_t port,
                                                            std::string credential) {
  SALLYPORT_TRY(auto orders, DemoOrders::Make());
  const std::string address = "127.0.0.1:" + std::to_string(port);
  std::unique_ptr<DemoMcpServer> self(
      new DemoMcpServer(std::move(orders), "http://" + address + "/mcp", std::move(credential)));
  net::HttpServer::Options options;
  options.address = address;
  options.handler = [server = self.get()](net::HttpExchange& exchange) {
    return server->Handle(exchange);
  };
  SALLYPORT_TRY(self->server_, net::HttpServer::Listen(shards, std::move(options)));
  return self;
}

json DemoMcpServer::Call(const std::string& tool, const json& arguments) const {
  const auto rows = [](const Result<json>& found) {
    if (!found) return Text("SQL error: " + found.error().detail, true);
    return Text(found->dump(2));
  };
  if (tool == "get_order") {
    const Result<json> found =
        orders_->QueryOne("select * from orders where id = ?", StringOr(arguments, "id", ""), 1);
    if (found && found->empty()) return Text("no such order", true);
    return found ? Text(found->at(0).dump(2)) : rows(found);
  }
  if (tool == "list_orders") {
    const auto limit = arguments.find("limit");
    const int64_t n =
        limit != arguments.end() && limit->is_number_integer() ? limit->get<int64_t>() : 5;
    return rows(orders_->Query("select * from orders order by created_at desc, id",
                               static_cast<size_t>(std::clamp<int64_t>(n, 1, 100))));
  }
  if (tool == "search_orders") {
    return rows(orders_->QueryOne("select * from orders where customer = ?",
                                  StringOr(arguments, "customer", ""), 20));
  }
  if (tool == "refund_order") {
    const auto amount = arguments.find("amount");
    return Text("refunded " + (amount == arguments.end() ? std::string("?") : amount->dump()) +
                " " + StringOr(arguments, "currency", "?") + " to " +
                StringOr(arguments, "order_id", "?"));
  }
  if (tool == "export_all") return rows(orders_->Query("select * from orders", 2000));
  if (tool == "execute_sql") return rows(orders_->Query(StringOr(arguments, "sql", "")));
  return nullptr;
}

json DemoMcpServer::Answer(const json& request, bool modern) const {
  const std::string method = StringOr(request, "method", "");
  const auto given = request.find("params");
  const json params = given != request.end() && given->is_object() ? *given : json::object();
  const json info{{"name", "payments-demo"}, {"version", "1.0"}};
  const json capabilities{{"tools", json::object()}};
  json result;
  if (method == "server/discover") {
    result = {{"supportedVersions", {kModern, "2025-11-25", "2025-06-18", "2025-03-26"}},
              {"capabilities", capabilities},
              {"serverInfo", info},
              {"ttlMs", 60'000},
              {"cacheScope", "public"}};
  } else if (method == "initialize") {
    const std::string wanted = StringOr(params, "protocolVersion", "2025-11-25");
    const bool known = wanted == "2025-11-25" || wanted == "2025-06-18" || wanted == "2025-03-26";
    result = {{"protocolVersion", known ? wanted : "2025-11-25"},
              {"capabilities", capabilities},
              {"serverInfo", info}};
  } else if (method == "ping") {
    result = json::object();
  } else if (method == "tools/list") {
    result = {{"tools", Tools()}};
    if (modern) result.update({{"ttlMs", 60'000}, {"cacheScope", "public"}});
  } else if (method == "tools/call") {
    const std::string tool = StringOr(params, "name", "");
    const auto arguments = params.find("arguments");
    result = Call(
        tool, arguments != params.end() && arguments->is_object() ? *arguments : json::object());
    if (result.is_null()) return Error(-32602, "Unknown tool: " + tool);
  } else {
    return Error(-32601, "Method not found");
  }
  if (modern) result["resultType"] = "complete";
  return {{"result", std::move(result)}};
}

boost::asio::awaitable<void> DemoMcpServer::Handle(net::HttpExchange& exchange) {
  const net::HttpRequest& request = exchange.request();
  int status = 200;
  json answer;
  const json message = json::parse(request.body, nullptr, false);
  if (request.headers.Find("Authorization") !=
      std::optional<std::string_view>("Bearer " + credential_)) {
    status = 401;
    answer = Error(-32600, "this server takes its own credential only");
  } else if (request.method != "POST") {
    status = 405;
    answer = Error(-32600, "POST only");
  } else if (!message.is_object()) {
    status = 400;
    answer = Error(-32700, "not a JSON-RPC message");
  } else if (!message.contains("id")) {
    status = 202;
  } else {
    const bool modern =
        request.headers.Find("MCP-Protocol-Version") == std::optional<std::string_view>(kModern);
    answer = Answer(message, modern);
    answer["jsonrpc"] = "2.0";
    answer["id"] = message["id"];
    if (modern && answer.contains("error") && answer["error"]["code"] == -32601) status = 404;
  }
  net::Headers headers{{"Content-Type", "application/json"}};
  (void)co_await exchange.Respond(status, std::move(headers),
                                  status == 202 ? std::string() : answer.dump());
}

}  // namespace sallyport::app
