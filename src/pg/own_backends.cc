#include "pg/own_backends.h"

#include <chrono>
#include <list>
#include <mutex>

namespace sallyport::pg {
namespace {

constexpr std::chrono::seconds kAfterlife{10};
using Clock = std::chrono::steady_clock;

struct Backend {
  uint32_t pid = 0;
  uint16_t port = 0;
  bool gone = false;
  Clock::time_point gone_at{};
};

}  // namespace

struct OwnBackends::State {
  mutable std::mutex mutex;
  std::list<Backend> backends;

  void Forget() {
    const auto now = Clock::now();
    std::erase_if(backends,
                  [&](const Backend& b) { return b.gone && now - b.gone_at > kAfterlife; });
  }
};

struct OwnBackends::Token {
  std::shared_ptr<State> state;
  std::list<Backend>::iterator at;

  ~Token() {
    const std::lock_guard lock(state->mutex);
    at->gone = true;
    at->gone_at = Clock::now();
    state->Forget();
  }
};

OwnBackends::OwnBackends() : state_(std::make_shared<State>()) {}

OwnBackends& OwnBackends::OfProcess() {
  static OwnBackends all;
  return all;
}

std::shared_ptr<void> OwnBackends::Begin(uint16_t local_port) {
  const std::lock_guard lock(state_->mutex);
  state_->backends.push_back({.port = local_port});
  return std::shared_ptr<Token>(new Token{state_, std::prev(state_->backends.end())});
}

void OwnBackends::Named(const std::shared_ptr<void>& token, uint32_t pid) {
  const auto own = std::static_pointer_cast<Token>(token);
  if (!own) return;
  const std::lock_guard lock(own->state->mutex);
  own->at->pid = pid;
}

bool OwnBackends::Knows(uint32_t pid, uint16_t port, bool exact) const {
  const std::lock_guard lock(state_->mutex);
  state_->Forget();
  for (const Backend& b : state_->backends) {
    if (b.pid == 0 ? exact && port != 0 && b.port == port
                   : b.pid == pid && (!exact || b.port == port))
      return true;
  }
  return false;
}

bool OwnBackends::Beginning() const {
  const std::lock_guard lock(state_->mutex);
  for (const Backend& b : state_->backends) {
    if (b.pid == 0 && !b.gone) return true;
  }
  return false;
}

}  // namespace sallyport::pg
