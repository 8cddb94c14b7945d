#pragma once

#include <memory>
#include <openssl/evp.h>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"
#include "identity/jwk.h"

namespace sallyport::identity {

/// A private key that signs tokens: for the issuer built into `sallyport dev`, and for tests. Free
/// to copy; signing is thread-safe. The key never leaves it except as PEM on request.
class Signer {
 public:
  /// A fresh key. RSA has 2048 bits.
  static Result<Signer> Generate(Alg alg, std::string kid);
  /// A PKCS#8 PEM private key; config_invalid if it is not one of the kind `alg` needs.
  static Result<Signer> FromPem(std::string_view pem, Alg alg, std::string kid);

  /// The compact JWS over `claims` (a JSON object, taken as it is) with the header {alg, typ, kid}.
  /// internal if OpenSSL fails.
  Result<std::string> Sign(std::string_view claims, std::string_view typ = "at+jwt") const;
  /// The same with a header written by the caller: for tests of hostile headers.
  Result<std::string> SignWithHeader(std::string_view header, std::string_view claims) const;

  std::string PublicJwk() const;  // one JWK with kid, alg and use
  Result<Secret> PrivatePem() const;
  Alg alg() const { return alg_; }
  const std::string& kid() const { return kid_; }

 private:
  Signer(std::shared_ptr<EVP_PKEY> pkey, Alg alg, std::string kid);
  std::shared_ptr<EVP_PKEY> pkey_;
  Alg alg_;
  std::string kid_;
};

/// What a JWS with the header {alg, typ, kid} signs (RFC 7515 section 5.1): both parts, encoded.
std::string SigningInput(Alg alg, std::string_view typ, std::string_view kid,
                         std::string_view claims);

/// {"keys":[…]} of single JWKs.
std::string Jwks(std::initializer_list<std::string> jwks);

}  // namespace sallyport::identity
