#pragma once

#include <string>

namespace sallyport::app {

struct AuditBypassOptions {
  std::string data_dir, connection_log, config, connection, from, to;
  bool json = false;
};
/// A PostgreSQL server's log of connections against the sessions of the gateway's own log: who came
/// another way. docs/bypass.md
int RunAuditBypass(const AuditBypassOptions& options);

}  // namespace sallyport::app
