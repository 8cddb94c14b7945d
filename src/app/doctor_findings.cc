#include "app/doctor_findings.h"

#include <cstdio>
#include <nlohmann/json.hpp>

#include "ledger/render.h"

namespace sallyport::app {
namespace {

const char* Word(Finding::Level level) {
  return level == Finding::Level::ok        ? "ok"
         : level == Finding::Level::warning ? "warning"
                                            : "failure";
}

}  // namespace

void PrintFinding(const char* kind, const std::string& name, const Finding& finding, bool as_json) {
  if (as_json) {
    const nlohmann::ordered_json line{{"v", 1},
                                      {kind, name},
                                      {"check", finding.check},
                                      {"level", Word(finding.level)},
                                      {"says", finding.says},
                                      {"fix", finding.fix}};
    std::printf("%s\n",
                line.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace).c_str());
    return;
  }
  std::printf("%-8s %s  %s: %s\n", Word(finding.level), name.c_str(), finding.check.c_str(),
              ledger::Printable(finding.says).c_str());
  if (!finding.fix.empty())
    std::printf("%-8s %s  → %s\n", "", name.c_str(), ledger::Printable(finding.fix).c_str());
}

}  // namespace sallyport::app
