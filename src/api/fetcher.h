#pragma once

#include <chrono>
#include <memory>

#include "base/fetch.h"
#include "base/task.h"

namespace sallyport::api {

/// Exchanges that nobody who signs in waits for, on threads of their own: what is asked of
/// providers in the background. Thread-safe.
class Fetcher {
 public:
  explicit Fetcher(size_t threads);
  ~Fetcher();
  Fetcher(const Fetcher&) = delete;

  /// Ends what is under way; before the shards stop.
  void Stop();
  /// Errors as net::FetchUrl; upstream_timeout as well when all threads are busy for too long.
  Task<FetchResponse> Fetch(FetchRequest request);

 private:
  struct Threads;
  std::unique_ptr<Threads> threads_;
};

}  // namespace sallyport::api
