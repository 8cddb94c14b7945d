#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "ledger/checkpoint.h"
#include "ledger/cosignature.h"

namespace sallyport::witness {

/// A witness of logs (https://c2sp.org/tlog-witness): remembers the largest checkpoint of each log
/// that it has seen and cosigns another one only if that continues it. What it has cosigned is on
/// the disk before anybody gets the cosignature, so a crash cannot make it forget. Thread-safe.
class Witness {
 public:
  struct Options {
    std::filesystem::path dir;      // one file per log; made with mode 0700 if it is not there
    std::string name;               // of its key
    Secret key;                     // as of ledger::NoteSigner
    std::vector<std::string> logs;  // verifier keys of the logs that it follows
  };
  struct Answer {
    int status = 200;
    std::string content_type = "text/plain; charset=utf-8";
    std::string body;
  };

  /// config_invalid: a key; io_failed; a file there that is no checkpoint of its log cosigned by
  /// this witness: it is never overwritten.
  static Result<std::unique_ptr<Witness>> Open(Options options, const Clock& clock = SystemClock());

  /// `POST add-checkpoint`: the cosignature, or why not, with the statuses of the protocol. Two
  /// heads of one size that the log's key has both signed are kept as
  /// `<dir>/equivocation-<origin hash>-<size>.txt`: proof that the log has forked.
  Answer AddCheckpoint(std::string_view body);
  /// `GET <hex SHA-256 of the origin>/checkpoint`: the head that was cosigned last.
  Answer Head(std::string_view origin_hash) const;

  const std::string& vkey() const { return cosigner_.vkey(); }

 private:
  struct Log {
    ledger::NoteVerifier verifier;
    std::string file;   // name of its file, hexadecimal
    uint64_t size = 0;  // cosigned last; 0: never
    ledger::Hash root{};
    std::string note;  // with the cosignature
  };

  Witness(Options options, ledger::Cosigner cosigner, const Clock& clock)
      : options_(std::move(options)), cosigner_(std::move(cosigner)), clock_(clock) {}
  Result<> Load(Log& log);
  Answer Cosign(Log& log, const ledger::Checkpoint& head, std::string_view note);
  void KeepEquivocation(const Log& log, std::string_view note) const;

  const Options options_;
  const ledger::Cosigner cosigner_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<std::string, Log, std::less<>> logs_;  // by origin
};

/// The lower-case hexadecimal SHA-256 of an origin: its name in monitoring addresses.
std::string OriginHash(std::string_view origin);

}  // namespace sallyport::witness
