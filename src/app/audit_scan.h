#pragma once

#include <string>

namespace sallyport::app {

struct AuditScanOptions {
  std::string data_dir, config;
  bool json = false;
};
/// Every byte below a data directory through the product's own detectors. docs/scans-and-drills.md
int RunAuditScan(const AuditScanOptions& options);

}  // namespace sallyport::app
