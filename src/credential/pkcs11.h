#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "credential/config.h"

namespace sallyport::credential {

/// RSA keys that are made in a PKCS #11 token (version 2.40) and never leave it. The token's own
/// library is loaded into this process.
///
/// What fails is tried once more after the library has been started anew and the PIN shown again; a
/// token that is gone is looked for again after 1 s, doubling to 30 s, when it is next needed. A
/// PIN that the token has refused is not shown again while it reads the same, and none is shown
/// where the next wrong one would lock the token. Errors never hold a PIN.
///
/// Thread-safe; every call may take as long as the token takes.
class Pkcs11 {
 public:
  struct Key {
    std::string id;                 // CKA_ID
    std::string modulus, exponent;  // big-endian, without leading zeros
  };

  /// config_invalid: the library, the token or the PIN is not as configured. io_failed: the token
  /// fails.
  static Result<std::shared_ptr<Pkcs11>> Open(Pkcs11Config config);
  /// As Open, for a check: no PIN is shown to a token that counts wrong ones already.
  static Result<> Check(const Pkcs11Config& config);
  virtual ~Pkcs11() = default;

  /// The private keys with our label; others are not looked at. config_invalid: one of them was not
  /// made in the token, or could leave it.
  virtual Result<std::vector<Key>> Keys() = 0;
  /// Makes a pair of 2048 bits: sensitive, not extractable.
  virtual Result<Key> Generate(const std::string& id) = 0;
  virtual Result<> Destroy(const std::string& id) = 0;
  /// RSASSA-PKCS1-v1_5 with SHA-256 (RFC 8017 section 8.2) over `text`.
  virtual Result<std::string> Sign(const std::string& id, std::string_view text) = 0;
};

}  // namespace sallyport::credential
