#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http_server.h"
#include "net/shards.h"

namespace sallyport::app {

/// One thing that has to hold for the gateway to take traffic.
struct ReadyCheck {
  std::string name;
  bool ok = false;
  std::string detail;
  bool alarm_only = false;  // a failure is said, but traffic is taken
};

/// The ops listener: /livez (the process answers), /readyz (200 when all checks hold, else 503;
/// ?verbose lists them), /metrics (Prometheus text). No secrets, no data path. `checks` is called
/// per request.
Result<std::unique_ptr<net::HttpServer>> ListenOps(net::Shards& shards, const std::string& address,
                                                   std::function<std::vector<ReadyCheck>()> checks);

}  // namespace sallyport::app
