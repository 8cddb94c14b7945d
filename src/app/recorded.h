#pragma once

#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/search.h"
#include "ledger/verify.h"
#include "recording/reader.h"

namespace sallyport::app {

/// Where a command finds the keys of recordings: a configuration, a file with a key, or neither:
/// then the file that the gateway uses, provided that whoever runs the command may read it.
struct KeysAt {
  std::string config, kek;
};

/// The recordings that entries of a log name, for commands that show or check them. One thread.
class Recorded {
 public:
  /// Errors name the key that cannot be read; without one recordings stay sealed.
  static Result<Recorded> Open(const std::filesystem::path& data_dir, const KeysAt& keys);

  /// Puts what was recorded into the line beside `recording`, as if it stood in the entry; where it
  /// cannot be had `recording` says why: "sealed", "destroyed", or "damaged" with what is wrong.
  void Fill(std::string& line);
  void Fill(std::vector<ledger::Found>& found);
  uint64_t damaged() const { return damaged_; }

  /// Of entry bytes as they stand in the log: its blobs, at most two.
  static std::vector<op::Blob> BlobsOf(std::string_view entry);
  /// The sealed bytes of one and the key that opens them, for a page that opens them itself; error
  /// as Reader, recording_destroyed where an entry says so.
  struct Sealed {
    std::string bytes, session;
    recording::Key key;
  };
  Result<Sealed> Take(const op::Blob& blob);

  const std::string& origin() const { return origin_; }

 private:
  Recorded(std::filesystem::path data_dir, std::string origin, std::vector<recording::Key> keks);
  /// What `error` is once the log has been asked whether the key was destroyed.
  Error Judge(const op::Blob& blob, Error error);

  std::filesystem::path data_dir_;
  std::string origin_;
  recording::Reader reader_;
  std::optional<std::set<std::string>> destroyed_;  // what key.destroyed entries name
  uint64_t damaged_ = 0;
};

/// Checks the recordings that entries name while the log is verified: that their bytes are there
/// and are those that the entries bind, which needs no key; with keys, that they open. What an
/// entry says was destroyed need not be there.
class RecordingCheck {
 public:
  static Result<RecordingCheck> Open(const std::filesystem::path& data_dir, const KeysAt& keys);
  /// Of each entry, in order.
  void Visit(uint64_t index, std::string_view entry);
  /// Adds what is wrong to the report.
  void Finish(ledger::VerifyReport& report);

 private:
  explicit RecordingCheck(recording::Reader reader) : reader_(std::move(reader)) {}
  struct Wrong {
    uint64_t index = 0, count = 0;
    std::string what;
  };
  recording::Reader reader_;
  uint64_t checked_ = 0, bytes_ = 0;
  std::set<std::string> destroyed_;
  /// By day and file, or by day and key: memory does not grow with the log.
  std::map<std::pair<std::string, std::string>, Wrong> wrong_;
};

}  // namespace sallyport::app
