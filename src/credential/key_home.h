#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "credential/config.h"

namespace sallyport::credential {

/// One key with which the gate signs as an issuer: RSA 2048, RS256. Thread-safe.
class IssuerKey {
 public:
  virtual ~IssuerKey() = default;
  /// The compact JWS (typ JWT) over `claims`, a JSON object. May take as long as a token takes.
  virtual Result<std::string> Sign(std::string_view claims) const = 0;
  virtual std::string PublicJwk() const = 0;
};

/// Where the keys live. One thread at a time.
class KeyHome {
 public:
  struct Held {
    std::string kid;
    std::shared_ptr<const IssuerKey> key;
  };
  virtual ~KeyHome() = default;
  /// All keys that are there; those whose kid we did not make are not looked at.
  virtual Result<std::vector<Held>> Read() = 0;
  virtual Result<Held> Make(const std::string& kid) = 0;
  virtual Result<> Destroy(const std::string& kid) = 0;
};

/// Files of a directory that is made if need be, readable by the owner alone. config_invalid: a
/// file that is no key (its name).
std::unique_ptr<KeyHome> KeysInFiles(std::filesystem::path directory);

/// A PKCS #11 token; errors as Pkcs11::Open. Each key that is found or made signs something first,
/// which is verified as a relying party would.
Result<std::unique_ptr<KeyHome>> KeysInToken(Pkcs11Config config);

/// When a key was made (Unix seconds), by its kid; 0: it is not one of ours.
int64_t MadeAt(std::string_view kid);

}  // namespace sallyport::credential
