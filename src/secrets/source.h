#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::secrets {

/// Where a secret lives. The configuration never holds the secret itself.
struct Ref {
  enum class Kind { none, env, file, credential, vault, aws_secret };
  Kind kind = Kind::none;
  std::string name;         // variable, path or credential name; path at Vault; id at AWS
  std::string field = {};   // vault, aws_secret: the member of the secret; empty: all of its text
  std::string region = {};  // aws_secret; empty: as configured for all

  bool empty() const { return kind == Kind::none; }
  bool operator==(const Ref&) const = default;
};

/// The configuration's key for `kind`: "env", "file" … Static lifetime.
std::string_view KindName(Ref::Kind kind);

/// A reference from its key and text, for example ("file", "/run/credentials/pg"). config_invalid
/// names the known kinds, and says of a bare string that a secret must not stand in the
/// configuration.
Result<Ref> ParseRef(std::string_view key, std::string_view text);

/// A place of secrets that is asked over the network. Implemented above: this module knows no
/// network.
class Store {
 public:
  virtual ~Store() = default;
  /// The secret as it was last read. Waits for the first reading of a reference only; later
  /// readings are made beside. Thread-safe. not_found: the store says that we may not have it, or
  /// that there is none.
  virtual Result<Secret> Read(const Ref& ref) = 0;
};

/// Who is asked for references of `kind` from now on (vault, aws_secret); null: nobody.
/// Thread-safe.
void SetStore(Ref::Kind kind, std::shared_ptr<Store> store);

/// The reference for people: "vault secret/data/pg#password".
std::string Describe(const Ref& ref);

/// Reads the secret now.
///
/// - env: set and not empty; once read, its bytes in /proc/<pid>/environ are overwritten.
/// - file: at most 64 KiB, not empty, no NUL byte; one trailing newline is removed. A file that
///   group or others can read adds a line to `warnings`.
/// - credential: the file of that name in $CREDENTIALS_DIRECTORY (systemd LoadCredential=); the
/// name has no '/'.
/// - vault, aws_secret: what the Store has; config_invalid where there is none.
///
/// Errors name the reference, never the content: config_invalid, not_found, io_failed. Thread-safe
/// as long as nobody changes the environment.
Result<Secret> Resolve(const Ref& ref, std::vector<std::string>* warnings = nullptr);

}  // namespace sallyport::secrets
