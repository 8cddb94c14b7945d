#pragma once

#include <chrono>
#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "config/load.h"
#include "config/schema.h"

namespace sallyport::app {

/// The running gateway: the object graph of one configuration, built in gateway.cc and nowhere
/// else, torn down in reverse. Start, Tick, Reload and Stop are called from the one main thread.
class Gateway {
 public:
  /// Builds everything and begins to serve. The error names what could not be had: an address in
  /// use, a log that does not verify, a secret that is missing.
  static Result<std::unique_ptr<Gateway>> Start(config::Root root);
  ~Gateway();  // Stop with no grace

  /// Housekeeping, about once a second: readings of the log, certificates, idle sessions.
  void Tick();
  /// Reads the configuration file again and swaps rules, detectors, limits and certificates for
  /// requests from now on. A bad file, or one that changes what needs a restart (listeners,
  /// data_dir, origin), is refused as a whole and recorded; the old configuration stays.
  Result<> Reload();
  /// Stops accepting, lets running calls finish for `grace`, then cuts them: who is cut is told,
  /// what runs on a server is cancelled (2 s at most). Records the stop and closes the log.
  void Stop(std::chrono::milliseconds grace);

  bool ready() const;
  std::string vkey() const;
  const config::Root& root() const;

 private:
  struct Impl;
  explicit Gateway(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

/// How a configuration is loaded that is going to run: what it refers to is looked at.
config::LoadOptions StartOptions();

/// Writes `problems` of a configuration to standard error and gives the exit code, or the loaded
/// root.
Result<config::Root> LoadOrExplain(const std::string& file, int& exit_code,
                                   const config::LoadOptions& options = StartOptions());

}  // namespace sallyport::app
