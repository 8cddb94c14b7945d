#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace sallyport::access {

/// SHA-256 of a token: what tables and the state know it by, so that they hold no token. FIPS
/// 180-4.
using TokenDigest = std::array<uint8_t, 32>;
TokenDigest DigestToken(std::string_view token);

struct TokenDigestHash {
  size_t operator()(const TokenDigest& digest) const {
    size_t h;
    std::memcpy(&h, digest.data() + 8, sizeof h);
    return h;
  }
};

}  // namespace sallyport::access
