#pragma once

#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "api/signals.h"
#include "api/workers.h"
#include "base/secret.h"

namespace sallyport::api {

/// Fetches the security events of one stream (RFC 8936), and lets Signals act on them. An event is
/// acknowledged once it has taken effect, so that none is lost to a crash or a failing disk; one
/// that cannot be good is reported to the transmitter with its error.
class SsfPoll {
 public:
  struct Options {
    std::string provider;
    FetchRequest request;  // url and how it may be reached
    std::function<Result<Secret>()> token;
    std::chrono::seconds every{30};
  };
  /// `signals` and `workers` must outlive it.
  SsfPoll(Options options, Signals& signals, Workers& workers);

  /// Until Stop; never two at a time.
  boost::asio::awaitable<void> Run();
  void Stop() { stopped_ = true; }
  /// Seconds since the stream was last read to its end.
  double age() const;
  const std::string& provider() const { return options_.provider; }

 private:
  struct Answer {
    std::vector<std::pair<std::string, std::string>> sets;  // id and token
  };
  Task<Answer> Ask();
  boost::asio::awaitable<void> Take(const Answer& answer);
  Task<bool> Round();

  const Options options_;
  Signals& signals_;
  Workers& workers_;
  std::atomic<bool> stopped_{false};
  std::atomic<std::chrono::steady_clock::rep> good_at_;
  std::vector<std::string> acks_;
  std::map<std::string, int> tries_;  // of events that may be good later
  std::map<std::string, std::pair<std::string, std::string>> errors_;  // id → err, description
};

/// What an answer to a poll holds; upstream_protocol if it is none. For SsfPoll, and for tests.
Result<std::vector<std::pair<std::string, std::string>>> ReadSets(std::string_view body);

}  // namespace sallyport::api
