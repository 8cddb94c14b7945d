#pragma once

#include <array>
#include <cstdint>
#include <mutex>
#include <string_view>
#include <vector>

#include "base/clock.h"

namespace sallyport::gate {

/// How many credentials of one remote address were refused lately, so that a storm of bad ones
/// costs little: beyond a generous bound its credentials are turned away unread. The caller lets
/// credentials pass that it knows to be good before it asks, so that people behind the same address
/// go on.
///
/// An IPv6 address counts by its /64, which one host has to itself. Thread-safe. Memory is fixed;
/// when more addresses misbehave at once than are kept, those with the fewest refusals are
/// forgotten.
class Refusals {
 public:
  static constexpr uint32_t kBurst = 2000;    // at once, then
  static constexpr uint32_t kPerSecond = 20;  // go on to be read
  static constexpr Nanos kTellEvery = 10'000'000'000;

  Refusals();

  /// A credential from this address was read and refused.
  void Add(std::string_view address, Nanos now);

  struct Answer {
    uint32_t wait_seconds = 0;  // 0: read the credential
    uint64_t turned_away = 0;   // not 0: record now that so many were turned away since last told
  };
  /// Whether to read a credential from this address.
  Answer Ask(std::string_view address, Nanos now);

 private:
  struct Slot {
    uint64_t key = 0;     // 0: free
    double debt = 0;      // refusals that are not forgiven yet
    Nanos at = 0;         // of `debt`
    uint64_t turned = 0;  // turned away and not told
    Nanos told = 0;
  };
  static constexpr size_t kSets = 4096, kWays = 4;
  using Set = std::array<Slot, kWays>;

  uint64_t KeyOf(std::string_view address) const;
  static void Forgive(Slot& slot, Nanos now);

  std::mutex mutex_;
  std::vector<Set> sets_;
  uint64_t seed_;  // so that nobody outside knows which addresses share a set
};

}  // namespace sallyport::gate
