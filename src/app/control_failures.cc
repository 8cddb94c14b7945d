#include "app/control_failures.h"

#include "obs/log.h"

namespace sallyport::app {

void ControlFailures::Look(const std::vector<ReadyCheck>& checks) {
  const auto now = std::chrono::steady_clock::now();
  for (const ReadyCheck& check : checks) {
    const auto found = failing_.find(check.name);
    if (check.ok == (found == failing_.end())) continue;  // as before
    op::Evidence evidence;
    evidence.type = check.ok ? op::EventType::control_restored : op::EventType::control_failed;
    evidence.resource = check.name;
    evidence.ok = check.ok;
    if (check.ok) {
      evidence.count =
          uint64_t(std::chrono::duration_cast<std::chrono::seconds>(now - found->second).count());
      failing_.erase(found);
      obs::Log(obs::Level::info, "control.restored",
               {{"control", check.name}, {"seconds", evidence.count}});
    } else {
      evidence.detail = check.detail;
      failing_.emplace(check.name, now);
      obs::Log(obs::Level::error, "control.failed",
               {{"control", check.name}, {"detail", check.detail}});
    }
    (void)record_(std::move(evidence));  // a ledger that has failed says so itself
  }
}

std::string WhyServiceStops(const std::vector<ReadyCheck>& checks) {
  for (const ReadyCheck& check : checks) {
    if (check.ok || check.alarm_only) continue;
    if (check.name == "witnesses") return "the evidence log is not witnessed: " + check.detail;
    if (check.name.starts_with("export "))
      return "the evidence does not reach its receiver: " + check.detail;
  }
  return {};
}

}  // namespace sallyport::app
