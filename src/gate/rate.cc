#include "gate/rate.h"

#include <algorithm>
#include <vector>

namespace sallyport::gate {
namespace {
constexpr Nanos kSecond = 1'000'000'000;
}

uint32_t RateLimiter::Take(const std::string& caller, const std::vector<op::Rate>& rates,
                           Nanos now) {
  if (rates.empty()) return 0;
  const std::lock_guard lock(mutex_);
  if (windows_.size() >= kCallers) Forget(now);
  std::vector<std::deque<Nanos>*> taken;
  Nanos wait = 0;
  for (const op::Rate& rate : rates) {
    std::deque<Nanos>& window = windows_[caller + '\n' + rate.rule];
    const Nanos period = rate.period_seconds * kSecond;
    while (!window.empty() && window.front() <= now - period) window.pop_front();
    if (window.size() >= rate.calls) {
      wait = std::max(wait, window.empty() ? period : window.front() + period - now);
    }
    taken.push_back(&window);
  }
  if (wait > 0) return static_cast<uint32_t>((wait + kSecond - 1) / kSecond);
  for (std::deque<Nanos>* window : taken) window->push_back(now);
  return 0;
}

void RateLimiter::Forget(Nanos) {
  const auto oldest =
      std::min_element(windows_.begin(), windows_.end(), [](const auto& a, const auto& b) {
        return (a.second.empty() ? 0 : a.second.back()) < (b.second.empty() ? 0 : b.second.back());
      });
  if (oldest != windows_.end()) windows_.erase(oldest);
}

}  // namespace sallyport::gate
