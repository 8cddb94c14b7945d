#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "app/demo_orders.h"
#include "net/http_server.h"
#include "net/shards.h"

namespace sallyport::app {

/// The MCP server `payments` that `sallyport dev` puts behind the gate: get_order, list_orders,
/// search_orders, refund_order, export_all and execute_sql over DemoOrders. It speaks 2026-07-28
/// and, without sessions, the `initialize` revisions; it wants the upstream credential that only
/// the gate holds, and answers card numbers in clear, as careless servers do.
class DemoMcpServer {
 public:
  static Result<std::unique_ptr<DemoMcpServer>> Start(net::Shards& shards, uint16_t port,
                                                      std::string credential);
  std::string url() const { return url_; }

 private:
  DemoMcpServer(std::unique_ptr<DemoOrders> orders, std::string url, std::string credential);
  boost::asio::awaitable<void> Handle(net::HttpExchange& exchange);
  nlohmann::json Answer(const nlohmann::json& request, bool modern) const;
  nlohmann::json Call(const std::string& tool, const nlohmann::json& arguments) const;

  std::unique_ptr<DemoOrders> orders_;
  std::string url_, credential_;
  std::unique_ptr<net::HttpServer> server_;
};

}  // namespace sallyport::app
