#include "credential/jobs.h"

#include <iterator>

namespace sallyport::credential {

Jobs::Jobs(size_t threads) {
  for (size_t i = 0; i < threads; ++i) threads_.emplace_back([this] { Work(); });
}

Jobs::~Jobs() {
  {
    const std::lock_guard lock(mutex_);
    stop_.request_stop();
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) thread.join();
}

void Jobs::At(Steady when, Job job) {
  const std::lock_guard lock(mutex_);
  due_.emplace(when, std::move(job));
  wake_.notify_one();
}

size_t Jobs::waiting() const {
  const std::lock_guard lock(mutex_);
  const auto end = due_.upper_bound(std::chrono::steady_clock::now());
  return size_t(std::distance(due_.begin(), end));
}

void Jobs::Work() {
  std::unique_lock lock(mutex_);
  while (!stop_.stop_requested()) {
    if (due_.empty()) {
      wake_.wait(lock);
      continue;
    }
    if (const Steady at = due_.begin()->first; std::chrono::steady_clock::now() < at) {
      wake_.wait_until(lock, at);
      continue;
    }
    const Job job = std::move(due_.extract(due_.begin()).mapped());
    lock.unlock();
    job(stop_.get_token());
    lock.lock();
  }
}

}  // namespace sallyport::credential
