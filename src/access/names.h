#pragma once

#include <map>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"

namespace sallyport::access {

/// Who of an issuer has shown which name lately: for providers that name people by e-mail address
/// when they end their access. Nothing is decided by a name otherwise. In memory, bounded;
/// thread-safe.
class Names {
 public:
  static constexpr size_t kMost = 200'000;

  void Saw(std::string_view issuer, std::string_view subject, std::string_view name, Nanos now);
  /// Every subject of `issuer` that has shown `name`, compared without the case of ASCII letters.
  /// limit_exceeded: some were not kept, so the answer would be a guess.
  Result<std::vector<std::string>> Find(std::string_view issuer, std::string_view name) const;
  /// Forgets who was last seen before `before`.
  void Forget(Nanos before);

 private:
  mutable std::shared_mutex mutex_;
  std::map<std::string, std::map<std::string, Nanos, std::less<>>, std::less<>> seen_;
  size_t size_ = 0;
  Nanos lost_at_ = 0;  // when somebody was last not kept
};

}  // namespace sallyport::access
