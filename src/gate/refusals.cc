#include "gate/refusals.h"

#include <algorithm>
#include <arpa/inet.h>
#include <cstring>
#include <functional>
#include <random>
#include <string>
#include <utility>

namespace sallyport::gate {
namespace {

/// What identifies the host: an IPv4 address, or the first half of an IPv6 address.
std::string HostOf(std::string_view address) {
  const std::string text(address.substr(0, address.find('%')));
  in6_addr six{};
  if (inet_pton(AF_INET6, text.c_str(), &six) != 1) return text;
  if (IN6_IS_ADDR_V4MAPPED(&six)) {
    char four[INET_ADDRSTRLEN] = "";
    inet_ntop(AF_INET, six.s6_addr + 12, four, sizeof four);
    return four;
  }
  return "/64" + std::string(reinterpret_cast<const char*>(six.s6_addr), 8);
}

uint64_t Mix(uint64_t x) {  // splitmix64's finisher
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
  x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
  return x ^ (x >> 31);
}

}  // namespace

Refusals::Refusals() : sets_(kSets) {
  std::random_device random;
  seed_ = uint64_t{random()} << 32 | random();
}

uint64_t Refusals::KeyOf(std::string_view address) const {
  const uint64_t key = Mix(std::hash<std::string>{}(HostOf(address)) ^ seed_);
  return key == 0 ? 1 : key;
}

void Refusals::Forgive(Slot& slot, Nanos now) {
  if (now > slot.at) {
    slot.debt = std::max(0.0, slot.debt - static_cast<double>(now - slot.at) * 1e-9 * kPerSecond);
  }
  slot.at = now;
}

void Refusals::Add(std::string_view address, Nanos now) {
  const uint64_t key = KeyOf(address);
  const std::lock_guard lock(mutex_);
  Set& set = sets_[key % kSets];
  auto slot = std::ranges::find(set, key, &Slot::key);
  if (slot == set.end()) {
    for (Slot& other : set) Forgive(other, now);
    slot = std::ranges::min_element(set, {}, &Slot::debt);
    *slot = {.key = key, .at = now, .told = now - kTellEvery};
  }
  Forgive(*slot, now);
  slot->debt += 1;
}

Refusals::Answer Refusals::Ask(std::string_view address, Nanos now) {
  const uint64_t key = KeyOf(address);
  const std::lock_guard lock(mutex_);
  Set& set = sets_[key % kSets];
  const auto slot = std::ranges::find(set, key, &Slot::key);
  if (slot == set.end()) return {};
  Forgive(*slot, now);
  if (slot->debt < kBurst) return {};
  Answer answer{.wait_seconds = 1};
  ++slot->turned;
  if (now - slot->told >= kTellEvery) {
    slot->told = now;
    answer.turned_away = std::exchange(slot->turned, 0);
  }
  return answer;
}

}  // namespace sallyport::gate
