#pragma once

#include <filesystem>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"
#include "config/schema.h"

namespace sallyport::config {

struct LoadOptions {
  /// Warn of secret references that lead nowhere now (a variable that is not set, a file that is
  /// not there). Values are never read by loading.
  bool look_at_secrets = true;
  /// Judges the metadata of a SAML provider (XML), which is no secret; none: nobody looks at it.
  std::function<Result<>(std::string_view xml)> saml_metadata;
  /// Tries the token that holds the gate's keys as an issuer; none: nobody does.
  std::function<Result<>(const credential::Pkcs11Config&)> issuer_token;
};

/// `root` is there exactly when no problem is an error; warnings may stand beside it.
struct LoadResult {
  std::optional<Root> root;
  std::vector<Problem> problems;   // in the order of the file
  std::vector<std::string> notes;  // as Root::notes, also when there are errors
};

/// Reads and checks the configuration: every key, every value, every name that refers to another
/// place, and all rules. All problems of the file are found in one run. Relative paths start at the
/// file's directory. Never throws, never reads a secret's value (but what `issuer_token` does),
/// opens no network. Bounded: 1 MiB, 32 levels.
LoadResult LoadFile(const std::filesystem::path& path, const LoadOptions& options = {});

/// The same from memory; `path` names it and says where relative paths start.
LoadResult LoadText(std::string_view text, const std::filesystem::path& path,
                    const LoadOptions& options = {});

/// Reads a file of at most `max_bytes` (a configuration, a policy test). Problems as LoadFile
/// reports them.
std::optional<std::string> ReadTextFile(const std::filesystem::path& path, size_t max_bytes,
                                        std::vector<Problem>& problems);

}  // namespace sallyport::config
