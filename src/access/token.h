#pragma once

#include <string>
#include <string_view>

namespace sallyport::access {

/// Reference tokens of sessions: "sps_", 43 characters of URL-safe base64 (256 random bits), and 6
/// more that are a checksum over the first 47: so that a scanner for leaked secrets can tell one
/// from noise without asking anybody. It says nothing about its session.
inline constexpr std::string_view kTokenPrefix = "sps_";
inline constexpr size_t kTokenSize = 4 + 43 + 6;

inline bool IsSessionToken(std::string_view token) { return token.starts_with(kTokenPrefix); }

/// A fresh one.
std::string NewToken();
/// Whether `token` has the form and the right checksum.
bool WellFormed(std::string_view token);

}  // namespace sallyport::access
