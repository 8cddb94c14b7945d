#pragma once

#include <filesystem>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::evidence_pack {

/// The key that signs packs: ECDSA on P-256 with SHA-256 (FIPS 186-5), because `openssl dgst
/// -verify` of every version takes it. The nonce is that of RFC 6979: the same pack has the same
/// signature. Not thread-safe.
class PackKey {
 public:
  /// A new private key, PKCS #8 PEM; empty if the random source fails.
  static Secret NewPem();
  /// config_invalid: no private key on P-256.
  static Result<PackKey> FromPem(const Secret& pem);

  /// DER (SEQUENCE of r and s), as `openssl dgst -sha256 -sign` writes it.
  Result<std::string> Sign(std::string_view message) const;
  const std::string& public_pem() const { return public_pem_; }

 private:
  PackKey() = default;
  Secret scalar_;  // big-endian, 32 bytes
  std::string public_pem_;
};

/// Whether `signature` is one of `public_pem` (P-256 only) over `message`.
bool VerifyPackSignature(const std::string& public_pem, std::string_view message,
                         std::string_view signature);

/// "SHA256:" and base64 of the SHA-256 of the public key (SubjectPublicKeyInfo, DER): what people
/// compare. Empty: no public key on P-256.
std::string Fingerprint(const std::string& public_pem);

}  // namespace sallyport::evidence_pack
