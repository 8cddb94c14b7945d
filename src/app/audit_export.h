#pragma once

#include <cstdint>
#include <string>

#include "app/arguments.h"

namespace sallyport::app {

struct AuditExportOptions {
  std::string data_dir, format = "ocsf", from, to;  // from, to: each an index or a time
  std::string config, kek;  // to open recordings in the format json
};
int RunAuditExport(const AuditExportOptions& options);

struct AuditDeliveredOptions {
  std::string data_dir, received, receiver;
  uint64_t from = 0, to = ~uint64_t(0);
  bool json = false;
};
int RunAuditDelivered(const AuditDeliveredOptions& options);

/// `audit export`, `audit delivered`
void AddAuditExport(CLI::App& audit, Chosen& chosen);

}  // namespace sallyport::app
