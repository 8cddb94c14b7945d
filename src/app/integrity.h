#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "app/ops.h"
#include "config/schema.h"
#include "mask/masker.h"
#include "op/evidence.h"

namespace sallyport::app {

/// Whether the program and its files are those that are at work (PCI DSS 11.5.2): SHA-256 of the
/// program, the configuration, TLS certificates and `integrity.files`, against what they were when
/// they were loaded, recorded as integrity.checked at the start and then each `integrity.every`. A
/// file that is not what was loaded is a control that fails until it is loaded (restart, SIGHUP) or
/// is what it was. Thread-safe.
class Integrity {
 public:
  using Record = std::function<Result<>(op::Evidence)>;
  /// The digests of now are what counts. `policy`: version of the rules in force.
  Integrity(const config::Root& root, Record record, std::function<std::string()> policy);

  /// After a reload: the configuration and certificates of now are in force. The program is not.
  void Reload(const config::Root& root);
  /// Looks if it is time to. Reads the files; on a thread that may take its time.
  void Tick(const mask::Masker& masker);
  ReadyCheck Check() const;

 private:
  struct File {
    std::string what;  // "program", "configuration", …
    std::filesystem::path path;
    std::string loaded;  // its digest then; empty: could not be read
  };
  void Collect(const config::Root& root);

  const Record record_;
  const std::function<std::string()> policy_;
  mutable std::mutex mutex_;
  std::chrono::milliseconds every_;
  std::vector<File> files_;
  std::string trouble_;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace sallyport::app
