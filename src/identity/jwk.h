#pragma once

#include <memory>
#include <openssl/evp.h>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "json/document.h"

namespace sallyport::identity {

/// The only signature algorithms there are here. RFC 7518 section 3.1, RFC 8037; RFC 9864 names
/// EdDSA over Ed25519 "Ed25519", which is the same thing.
enum class Alg { rs256, ps256, es256, es384, eddsa };

std::string_view AlgName(Alg alg);                   // "RS256" … "EdDSA"; static lifetime
std::optional<Alg> ParseAlg(std::string_view name);  // exact case; "Ed25519" is eddsa

/// A public key, bound to one algorithm when it was imported. Free to copy and to use from several
/// threads.
struct Key {
  std::string kid;
  Alg alg = Alg::rs256;
  std::shared_ptr<EVP_PKEY> pkey;
  std::string
      thumbprint;  // RFC 7638 over SHA-256, base64url: names the key material whatever its kid
};

/// What may be imported.
struct ImportRules {
  std::vector<Alg> algorithms{Alg::rs256, Alg::ps256, Alg::es256, Alg::es384, Alg::eddsa};
  Alg rsa_default =
      Alg::rs256;  // of an RSA key without `alg`; CVE-2026-44699 is what happens without one
};

inline constexpr size_t kMaxJwksBytes = 512 * 1024;
inline constexpr size_t kMaxJwksKeys = 100;

/// Imports one JWK (RFC 7517). request_malformed with the reason if it is not usable: not for
/// signatures
/// (`use`, `key_ops`), symmetric or private, RSA outside 2048..8192 bits or with an exponent that
/// is even, 1 or wider than 33 bits, an EC point off its curve, an Ed25519 key that is not 32
/// bytes, or an algorithm that does not fit the key or is not in `rules`. The reason holds no bytes
/// of the key.
Result<Key> ImportJwk(json::Value jwk, const ImportRules& rules);

/// The verification keys of one issuer. Immutable.
class KeySet {
 public:
  /// Reads a JWKS of at most kMaxJwksBytes and kMaxJwksKeys. The document has to be well formed,
  /// without duplicate JSON keys; single keys that cannot be used are skipped and listed. Two
  /// different keys of one kid are ambiguous: both are skipped. No usable key at all is a valid
  /// answer of the issuer.
  static Result<KeySet> Import(std::string_view jwks, const ImportRules& rules);

  /// The key of that kid. An empty kid finds the only key of a set of one.
  const Key* Find(std::string_view kid) const;
  bool Holds(std::string_view kid, std::string_view thumbprint) const;

  const std::vector<Key>& keys() const { return keys_; }
  const std::vector<std::string>& skipped() const {
    return skipped_;
  }  // "key 3: RSA modulus has 1024 bits"

 private:
  std::vector<Key> keys_;
  std::vector<std::string> skipped_;
};

}  // namespace sallyport::identity
