#pragma once

#include <chrono>
#include <functional>
#include <memory>

#include "base/fetch.h"
#include "base/task.h"

namespace sallyport::api {

/// Threads for what blocks, so that no shard does: exchanges with providers, processes that are
/// waited for. Thread-safe.
class Workers {
 public:
  explicit Workers(size_t threads);
  ~Workers();
  Workers(const Workers&) = delete;

  /// Ends the exchanges that are under way, and the threads; before the shards stop.
  void Stop();
  /// Does `work`, which may outlive the wait: it owns what it touches. upstream_timeout: it has not
  /// ended within `limit`.
  Task<> Run(std::function<void()> work, std::chrono::milliseconds limit);
  /// Errors as net::FetchUrl; upstream_timeout as well when all threads are busy for too long.
  Task<FetchResponse> Fetch(FetchRequest request);

 private:
  struct Threads;
  std::unique_ptr<Threads> threads_;
};

}  // namespace sallyport::api
