#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::config {

/// "15m", "4h", "100ms", "1h30m", "13mo": numbers with units ms, s, m, h, d, w, mo (30 days), y
/// (365 days). A number without a unit is nullopt: nobody should have to guess.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);

/// "4MiB", "512KiB", "1GiB", "64kB", "4096" (bytes).
std::optional<uint64_t> ParseSize(std::string_view text);

/// A decimal integer without sign.
std::optional<uint64_t> ParseCount(std::string_view text);

/// An address to listen on, "127.0.0.1:8443", "[::1]:8443", ":8443" (all interfaces).
struct Listen {
  std::string host;
  uint16_t port = 0;
  bool loopback = false;
};
std::optional<Listen> ParseListen(std::string_view text);

/// An absolute http or https URL.
struct Url {
  bool https = false;
  std::string host;  // lower case, IPv6 without brackets
  std::string rest;  // path, query; empty for a bare origin
  bool loopback = false;
};
/// nullopt: another scheme, no host, a user name, a fragment, white space.
std::optional<Url> ParseUrl(std::string_view text);

/// How many single edits (insert, delete, change, swap) lie between two words; for "did you mean".
size_t EditDistance(std::string_view a, std::string_view b);

}  // namespace sallyport::config
