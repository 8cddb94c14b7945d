#pragma once

#include <chrono>
#include <memory>
#include <mutex>

#include "base/result.h"
#include "base/secret.h"
#include "secrets/source.h"

namespace sallyport::app {

/// A secret that is looked up again when it is asked for and the last look is 5 seconds old. When a
/// look-up fails the old value stays: whoever no longer takes it says so itself. Thread-safe.
class RotatingSecret {
 public:
  /// With a first look-up: its error.
  static Result<std::shared_ptr<RotatingSecret>> Make(const secrets::Ref& ref);
  Secret Get();

 private:
  static constexpr std::chrono::seconds kLookAgain{5};

  RotatingSecret(secrets::Ref ref, Secret value) : ref_(std::move(ref)), value_(std::move(value)) {}

  const secrets::Ref ref_;
  std::mutex mutex_;
  Secret value_;
  std::chrono::steady_clock::time_point read_at_ = std::chrono::steady_clock::now();
};

}  // namespace sallyport::app
