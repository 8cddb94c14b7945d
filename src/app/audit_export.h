#pragma once

#include <string>

#include "app/arguments.h"

namespace sallyport::app {

struct AuditExportOptions {
  std::string data_dir, format = "ocsf", from, to;  // from, to: each an index or a time
};
int RunAuditExport(const AuditExportOptions& options);

/// `audit export`
void AddAuditExport(CLI::App& audit, Chosen& chosen);

}  // namespace sallyport::app
