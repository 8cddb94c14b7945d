#pragma once

#include <chrono>
#include <condition_variable>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <unordered_map>
#include <vector>

#include "access/digest.h"
#include "base/clock.h"
#include "base/result.h"

namespace sallyport::identity {

/// Asks a party about tokens that only it can judge, and keeps what it said for a moment.
///
/// One question per token at a time, whoever asks, on a few threads of its own. A refusal is kept
/// for 5 s and a failure for 1 s, an assent for `good_for`. Tokens that were never good may cause
/// at most kPerSecond questions a second (kBurst at once): a flood of invented ones costs the other
/// side no more, and those that were good before are asked about all the same. Tokens are held
/// while a question about them is under way, afterwards only their digests.
///
/// Threads: all methods are thread-safe. Start makes the threads; Stop joins them.
class Inquiry {
 public:
  /// Blocking; from several threads at once. What it returns is handed to Find.
  using Ask = std::function<Result<std::string>(const std::string& token, std::stop_token stop)>;

  static constexpr std::chrono::seconds kRefusedFor{5}, kFailedFor{1}, kGoodBefore{3600};
  static constexpr int kPerSecond = 50, kBurst = 100;
  static constexpr size_t kThreads = 4, kMostWaiting = 1024, kMostKept = 16384;

  struct Options {
    std::string provider;               // for the metrics
    std::chrono::nanoseconds good_for;  // an assent
    Errc refused;                       // the code by which `ask` says no; others are failures
  };
  Inquiry(Options options, Ask ask, const Clock& clock);
  ~Inquiry();
  Inquiry(const Inquiry&) = delete;

  void Start();
  void RequestStop();  // ends what is under way and completes all who wait
  void Stop();         // the same, and joins

  struct Answer {
    Result<std::string> said;
    std::chrono::nanoseconds left{0};  // for how long it still counts
  };
  /// What was said about the token, while that counts.
  std::optional<Answer> Find(const access::TokenDigest& digest);

  /// Calls `done` once, when there is an answer or when there will be none now: at once, on this
  /// thread, or on a thread of the inquiry.
  void AskThen(const std::string& token, std::function<void()> done);

  /// Why there is no answer: limit_exceeded, or identity_provider_down.
  Errc WhyNot();

  /// Answers one question that waits, on this thread: for tests that never call Start.
  bool RunDue();
  void Forget();

 private:
  using Steady = std::chrono::steady_clock::time_point;
  struct Flight {
    std::string token;
    std::vector<std::function<void()>> done;
  };
  struct Kept {
    Result<std::string> said;
    Steady until;
  };
  void Loop();
  bool Next(std::unique_lock<std::mutex>& lock);
  bool MayAsk(const access::TokenDigest& digest, Steady now);  // with mutex_
  void Keep(const access::TokenDigest& digest, Result<std::string> said, Steady now);

  const Options options_;
  const Ask ask_;
  const Clock& clock_;
  std::stop_source stop_;
  std::mutex mutex_;
  std::condition_variable wake_;
  bool stopping_ = false;
  size_t waiting_ = 0;
  double allowance_ = kBurst;
  Steady filled_at_;
  bool turned_away_ = false;  // the last who asked was
  std::deque<access::TokenDigest> queue_;
  std::map<access::TokenDigest, Flight> flights_;
  std::map<access::TokenDigest, Kept> kept_;
  std::map<access::TokenDigest, Steady> good_before_;
  std::vector<std::thread> threads_;
};

}  // namespace sallyport::identity
