#pragma once

#include <filesystem>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::app {

/// The content of `file`, made on first use with mode 0600: 32 bytes of the kernel's random source,
/// base64.
Result<Secret> KeyFile(const std::filesystem::path& file);

/// An Ed25519 private key in PKCS#8 PEM, made on first use with mode 0600.
Result<Secret> SigningKeyFile(const std::filesystem::path& file);

/// An RSA key with its certificate in PEM (saml/signer.h), made on first use with mode 0600.
Result<Secret> SamlKeyFile(const std::filesystem::path& file);

/// Writes `text` to `file` with mode 0600, whole or not at all.
Result<> WritePrivate(const std::filesystem::path& file, std::string_view text);

/// The private key (P-256, PEM) that signs evidence packs, made at first use.
Result<Secret> PackKeyFile(const std::filesystem::path& file);

}  // namespace sallyport::app
