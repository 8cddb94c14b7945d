#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>

namespace sallyport::recording {

/// `recording` of the configuration.
struct Limits {
  std::chrono::milliseconds retention{std::chrono::days(396)};  // 13 months
  std::chrono::milliseconds hot{std::chrono::days(92)};         // 3 months
  std::filesystem::path archive;  // where days go that are not hot any more; empty: they stay
  uint64_t max_bytes = 4u << 20;  // recorded of one message or result; beyond: a declared cut
  bool operator==(const Limits&) const = default;
};

}  // namespace sallyport::recording
