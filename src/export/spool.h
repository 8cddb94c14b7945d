#pragma once

#include <cstdint>
#include <deque>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/result.h"
#include "ledger/entry.h"
#include "ledger/reader.h"

namespace sallyport::exporting {

/// One entry of the log with what it refers to. Valid until the Spool reads the next one.
struct Event {
  std::string_view origin;
  uint64_t index = 0;
  std::string leaf;                        // RFC 6962 leaf hash, base64 as in the files of the log
  std::string_view bytes;                  // of the entry
  const ledger::Entry* entry = nullptr;    // null: cannot be read; it is told of all the same
  const ledger::Entry* session = nullptr;  // the auth.success entry it names, where there is one
  const ledger::Entry* intent = nullptr;   // of an outcome
};

/// The published part of the log, read from its files: what a signed checkpoint covers and no power
/// cut can take back. So nothing leaves the machine that the log could later deny. The log itself
/// is the queue of what is still to be delivered. Reads while the gateway writes; verifies nothing
/// (ledger/verify.h does). Not thread-safe.
class Spool {
 public:
  /// not_found if `data_dir` holds no log.
  static Result<Spool> Open(const std::filesystem::path& data_dir);

  /// Takes up what was published since.
  Result<> Refresh();

  uint64_t size() const { return size_; }
  const std::string& origin() const { return origin_; }

  /// Fast where `index` rises. io_failed, not_found: a file of the log cannot be read.
  Result<Event> Read(uint64_t index);
  /// Base64 of the leaf hash of an entry.
  Result<std::string> LeafOf(uint64_t index);

 private:
  struct Bundle {
    uint64_t number = ~uint64_t(0);
    std::string bytes;
    std::vector<std::string_view> entries;
  };
  /// An entry that others refer to.
  struct Held {
    std::string bytes;
    ledger::Entry entry;
    bool readable = false;
  };
  /// The latest ones, by index.
  struct Cache {
    std::unordered_map<uint64_t, std::unique_ptr<Held>> held;
    std::deque<uint64_t> order;
    size_t bytes = 0;
  };

  explicit Spool(const std::filesystem::path& data_dir);
  Result<std::string_view> BytesOf(uint64_t index, Bundle& bundle);
  static const Held& Hold(Cache& cache, uint64_t index, std::string_view bytes);
  Result<const ledger::Entry*> Find(Cache& cache, uint64_t index);

  std::filesystem::path checkpoint_;
  ledger::LogDirectory files_;
  std::string origin_;
  uint64_t size_ = 0;
  Bundle here_, elsewhere_;  // in order; looked up
  Cache sessions_, intents_;
  ledger::Entry entry_;
};

}  // namespace sallyport::exporting
