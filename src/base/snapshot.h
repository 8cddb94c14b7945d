#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <utility>

namespace sallyport {

/// An immutable value that is replaced now and then. Thread-safe.
template <class T>
class Published {
 public:
  Published() = default;
  explicit Published(std::shared_ptr<const T> value) : value_(std::move(value)) {}

  std::shared_ptr<const T> load() const { return value_.load(); }
  void store(std::shared_ptr<const T> value) {
    value_.store(std::move(value));
    version_.fetch_add(1, std::memory_order_release);
  }
  /// Changes with each store.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  std::atomic<std::shared_ptr<const T>> value_;
  std::atomic<uint64_t> version_{1};
};

/// The value as one reader saw it last. Taking a share of what all threads share costs each of them
/// a fight for its counter; looking whether it is still the same costs nothing. One thread.
template <class T>
class Snapshot {
 public:
  /// `source` must outlive it.
  explicit Snapshot(const Published<T>& source) : source_(source) {}

  /// Valid until the next call.
  const std::shared_ptr<const T>& Get() {
    if (const uint64_t version = source_.version(); version != seen_) {
      value_ = source_.load();
      seen_ = version;
    }
    return value_;
  }

 private:
  const Published<T>& source_;
  uint64_t seen_ = 0;
  std::shared_ptr<const T> value_;
};

}  // namespace sallyport
