#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::saml {

/// The gateway's own key as a service provider, with the certificate that carries it to identity
/// providers. Immutable and thread-safe.
class Signer {
 public:
  /// From a PEM with a private RSA key and its certificate. config_invalid.
  static Result<std::shared_ptr<const Signer>> FromPem(const Secret& pem);
  /// A new key (RSA 3072) and a certificate of its own for ten years, as PEM; empty: no memory.
  /// Providers look at the key; the dates do not count (saml-metadata-iop-os, 2.6.1).
  static std::string NewPem();

  /// DER in base64, for the metadata.
  const std::string& certificate() const { return certificate_; }
  /// RSA with SHA-256 (PKCS #1 v1.5), raw; empty: it failed.
  std::string Sign(std::string_view text) const;

 private:
  struct Free {
    void operator()(void* key) const;
  };
  Signer() = default;
  std::unique_ptr<void, Free> key_;  // EVP_PKEY
  std::string certificate_;
};

}  // namespace sallyport::saml
