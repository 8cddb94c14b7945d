#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/task.h"
#include "credential/material.h"
#include "net/event.h"

namespace sallyport::credential {

/// Keeps what a slow source hands out, under a key (empty where there is one for all callers), and
/// renews it.
///
/// However many callers ask, one request per key runs at a time, on threads of its own; all who
/// need its answer wait for it. What is at hand is used while its successor is fetched. A source
/// that fails is asked again after 1 s, doubling to 30 s; in between callers get its error at once,
/// unless what they have still works.
///
/// Thread-safe. At most `kMost` keys: what was not used for longest goes.
class Renewal {
 public:
  /// Blocking; on a thread of the Renewal. The error's detail holds no secret.
  using Obtain = std::function<Result<Material>(std::stop_token)>;
  static constexpr size_t kMost = 10'000;
  static constexpr std::chrono::milliseconds kWait{15'000};
  /// What is younger than this is not asked for again because the upstream refuses it.
  static constexpr std::chrono::seconds kTrust{2};

  /// `name` is the connection's, for the log. `clock` must outlive it.
  Renewal(std::string name, const Clock& clock, size_t threads);
  ~Renewal();  // ends the requests in flight
  Renewal(const Renewal&) = delete;

  /// What is good now, else null with the source asked if that is due. Never waits.
  MaterialPtr Known(const std::string& key, const Obtain& obtain);
  /// The same, but waits where there is nothing good: upstream_credential_failed with the source's
  /// last error, upstream_timeout after kWait.
  Task<MaterialPtr> Get(std::string key, Obtain obtain);
  /// What is known under the key is dropped; what is under way is not used.
  void Forget(const std::string& key);
  /// Whether there is anything under the key, or under way.
  bool Knows(const std::string& key);
  /// The upstream refused `used`. True: there is, or will be, something else to try.
  bool Refused(const std::string& key, const MaterialPtr& used);

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Waiter {
    boost::asio::any_io_executor executor;
    std::shared_ptr<net::Event> event;
  };
  struct Entry {
    MaterialPtr current;
    Obtain obtain;
    bool running = false;
    bool forgotten = false;  // while running
    int failures = 0;
    Steady not_before = Steady::min();
    Steady used_at;
    Error last_error;
    std::vector<Waiter> waiters;
  };

  MaterialPtr GoodNow(const Entry& entry) const;               // with mutex_
  Entry& Touch(const std::string& key, const Obtain& obtain);  // with mutex_
  void MakeRoom();                                             // with mutex_
  void Work();
  void Finish(const std::string& key, Result<Material> made);

  const std::string name_;
  const Clock& clock_;
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  std::unordered_map<std::string, Entry> entries_;
  std::deque<std::string> due_;  // keys to be fetched
  std::vector<std::thread> threads_;
};

}  // namespace sallyport::credential
