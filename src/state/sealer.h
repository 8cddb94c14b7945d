#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::state {

/// Encrypts what must not stand in clear in the state (exact arguments may hold card numbers: I2)
/// and makes keyed digests of it. AES-256-GCM (NIST SP 800-38D) with a random nonce and
/// HMAC-SHA-256, each under its own key, derived with HKDF (RFC 5869) from one of 32 bytes.
/// Immutable, thread-safe.
class Sealer {
 public:
  /// `key`: 32 bytes, in URL-safe base64 (as the key files of the data directory). config_invalid
  /// otherwise.
  static Result<Sealer> Make(const Secret& key);
  ~Sealer();
  Sealer(const Sealer&) = default;
  Sealer& operator=(const Sealer&) = default;

  /// 1 byte of version, 12 of nonce, the text encrypted, 16 of tag. `place` is authenticated, not
  /// contained: what was sealed for one row cannot be moved to another.
  std::string Seal(std::string_view place, std::string_view text) const;
  /// state_unavailable: not sealed under this key for this place, or changed since.
  Result<std::string> Open(std::string_view place, std::string_view sealed) const;

  /// HMAC-SHA-256 over both, each with its length in front; 64 hexadecimal digits. Without the key
  /// nobody can find the text by trying: a bare hash of a card number is found in milliseconds.
  std::string Digest(std::string_view purpose, std::string_view text) const;

 private:
  Sealer() = default;
  std::array<uint8_t, 32> seal_{}, digest_{};
};

}  // namespace sallyport::state
