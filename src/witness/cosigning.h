#pragma once

#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <filesystem>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/fetch.h"
#include "base/result.h"
#include "ledger/checkpoint.h"
#include "ledger/cosignature.h"
#include "witness/config.h"
#include "witness/policy.h"

namespace sallyport::witness {

/// The policy of this configuration as https://c2sp.org/tlog-policy, for those who verify: the log,
/// its witnesses, one group for each operator, the quorum of operators.
std::string PolicyText(const Config& config, const std::string& log_key);

/// Brings the published heads of this gateway's log to its witnesses, every `interval`, and keeps
/// the newest one that a quorum has cosigned as `<data_dir>/log/checkpoint.cosigned`. A thread for
/// each witness, so that a slow one delays nobody.
///
/// A witness that has cosigned a larger log than this one, or that says that this one does not
/// continue what it has cosigned, is asked for what it has. If this log's key has signed that and
/// this log does not contain it, the log was rolled back or there are two of it (`diverged`), and
/// the head is kept in `<data_dir>/witness`: proof for a third party. Else it is only its word.
class Cosigning {
 public:
  struct Options {
    std::filesystem::path data_dir;
    std::string log_key;  // the log's verifier key
    Config config;
    std::function<Result<FetchResponse>(const FetchRequest&)> fetch;  // blocks
    /// Called with each newest note that a quorum has cosigned, on a thread of this object.
    std::function<void(const ledger::Checkpoint& head, const std::string& note)> cosigned;
  };
  struct PeerStatus {
    std::string name;
    uint64_t size = 0;       // cosigned last, 0: never since the start
    double age_seconds = 0;  // since then, or since the start
    std::string problem;     // of the latest attempt; empty: it cosigned
  };
  struct Status {
    bool met = true;        // a quorum has cosigned within `within`
    bool first = false;     // a quorum has cosigned since the start
    std::string why;        // not met
    bool diverged = false;  // a witness has seen another log under this key
    uint64_t size = 0;      // of the newest head with a quorum
    double age_seconds = 0;
    std::vector<PeerStatus> peers;
  };

  /// config_invalid: a key.
  static Result<std::unique_ptr<Cosigning>> Start(Options options);
  ~Cosigning();  // Stop()
  Cosigning(const Cosigning&) = delete;

  /// Waits until a quorum has cosigned the head that is published now, at most so long; then
  /// Stop(). For the end of a gateway: what it wrote last is witnessed too.
  void Finish(std::chrono::milliseconds most);
  /// Ends the exchanges that are under way, and the threads.
  void Stop();
  /// Thread-safe.
  Status status() const;

 private:
  using Time = std::chrono::steady_clock::time_point;
  struct Round {
    uint64_t number = 0;
    ledger::Checkpoint head;
    std::string note;   // as the log signed it
    std::string lines;  // cosignatures so far
  };
  struct Asked {
    Asked(Peer p, ledger::CosignatureVerifier v) : peer(std::move(p)), verifier(std::move(v)) {}
    const Peer peer;
    const ledger::CosignatureVerifier verifier;
    uint64_t known = 0;  // what it has cosigned, as far as is known; of its thread only
    // with mutex_
    uint64_t size = 0;
    Time at;
    std::string problem = "not asked yet";
  };

  Cosigning(Options options, Policy policy);
  void Watch(const std::stop_token& stop);
  void Ask(Asked& asked, const std::stop_token& stop);
  Result<std::string> Submit(Asked& asked, const Round& round, const std::stop_token& stop);
  Result<std::string> Accepted(const Asked& asked, const Round& round, const std::string& body);
  void LookInto(const Asked& asked, const std::stop_token& stop);
  bool Contains(const ledger::Checkpoint& head) const;
  FetchRequest RequestTo(const Peer& peer, const std::stop_token& stop) const;
  void Take(Asked& asked, uint64_t round, const std::string& line);

  const Options options_;
  const Policy policy_;
  std::vector<std::unique_ptr<Asked>> asked_;
  mutable std::mutex mutex_;
  std::condition_variable_any wake_;
  std::deque<Round> rounds_;
  uint64_t round_ = 0;
  const Time started_;
  std::optional<Time> met_at_;
  uint64_t met_size_ = 0;
  std::string diverged_;               // what shows it; empty: nothing does
  std::vector<std::jthread> threads_;  // last
};

}  // namespace sallyport::witness
