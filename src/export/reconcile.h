#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "export/spool.h"

namespace sallyport::exporting {

/// What one line of a receiver's says of an entry.
struct Received {
  std::string origin;  // empty: the line does not say
  uint64_t index = 0;
  std::string leaf;  // base64
};

/// Reads an event in any format that this module writes, also inside of what receivers put around
/// it (an object "event", a syslog header), or "INDEX LEAF_HASH". nullopt: the line is none. The
/// line is foreign.
std::optional<Received> ReadReceived(std::string_view line);

/// Compares what a receiver has with the log, to be able to say that all of it arrived (PCI DSS
/// 10.3.3). Memory grows with the number of entries, 40 bytes each.
class Reconciliation {
 public:
  explicit Reconciliation(std::string origin) : origin_(std::move(origin)) {}

  /// One line of the receiver's.
  void Add(std::string_view line);

  struct Range {
    uint64_t from = 0, to = 0;  // to: exclusive
  };
  struct Report {
    std::string origin;
    uint64_t from = 0, to = 0;  // entries that were compared; to: exclusive
    uint64_t arrived = 0;       // of them, with the right leaf hash
    uint64_t repeated = 0;      // lines that say again what another one said
    uint64_t unread = 0;        // lines that are no event
    uint64_t foreign = 0;       // events of another log, or beyond the end of this one
    std::vector<Range> missing;
    std::vector<uint64_t> changed;  // with a leaf hash that is not the log's

    bool whole() const { return missing.empty() && changed.empty(); }
    std::string Json()
        const;  // one line; at most 1,000 ranges and indexes, and says if there are more
    std::string Text() const;  // a few lines for people
  };
  /// Entries `from` to `to`-1. Fails where the log cannot be read.
  Result<Report> Compare(Spool& log, uint64_t from, uint64_t to) const;

 private:
  struct Seen {
    std::string leaf;
    bool differs = false;  // two lines with two hashes
  };
  const std::string origin_;
  std::map<uint64_t, Seen> seen_;
  uint64_t repeated_ = 0, unread_ = 0, foreign_ = 0;
};

}  // namespace sallyport::exporting
