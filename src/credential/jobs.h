#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <stop_token>
#include <thread>
#include <vector>

namespace sallyport::credential {

/// A few threads for what blocks, now or at a time. Thread-safe.
class Jobs {
 public:
  using Steady = std::chrono::steady_clock::time_point;
  using Job = std::function<void(std::stop_token)>;

  explicit Jobs(size_t threads);
  ~Jobs();  // ends what runs, drops what is due later
  Jobs(const Jobs&) = delete;

  void At(Steady when, Job job);
  /// Jobs whose time has come and that wait for a thread.
  size_t waiting() const;

 private:
  void Work();

  std::stop_source stop_;
  mutable std::mutex mutex_;
  std::condition_variable wake_;
  std::multimap<Steady, Job> due_;
  std::vector<std::thread> threads_;
};

}  // namespace sallyport::credential
