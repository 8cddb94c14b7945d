#pragma once

#include <string>

namespace sallyport::app {

struct AuditDrillOptions {
  std::string data_dir, scratch, key;
  bool json = false;
};
/// Tampers with a copy of the log in each way and has it verified; and times the reading of what
/// has to be at hand. docs/scans-and-drills.md
int RunAuditDrill(const AuditDrillOptions& options);

}  // namespace sallyport::app
