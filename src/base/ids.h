#pragma once

#include <array>
#include <string>
#include <string_view>

namespace sallyport {

/// 80 bits from the kernel's random source, as 16 characters of Crockford's base 32 behind a prefix that
/// names the kind: "d_" decision, "s_" session, "a_" approval request. Unique, not secret.
std::string NewId(std::string_view prefix);

/// `n` bytes of the kernel's random source, URL-safe base64: for session ids and other unguessable handles.
std::string NewHandle(size_t n = 24);

/// `n` bytes of the kernel's random source, as they are.
std::string NewRandom(size_t n);

}  // namespace sallyport
