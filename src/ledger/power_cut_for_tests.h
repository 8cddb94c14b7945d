#pragma once

#include <cstdint>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include "ledger/recorded_disk_for_tests.h"

namespace sallyport::ledger {

/// The states in which a power cut may leave a disk, made out of a record of operations.
///
/// What was synced is there. Of what was not, a file's data lie there in any sectors of 512 bytes,
/// each as it was at some moment since the last sync, and its length is one that it had since then.
/// Of the names, any may be there or not, in any order; but what one operation does to names
/// happens together, and what names the same place happens in order. Syncing a directory is what
/// keeps its names: syncing a file does not. A renaming from one directory to another is kept when
/// either is synced.
class PowerCut {
 public:
  enum class Left : uint8_t {
    all,       // nothing is lost: this is what the death of the process leaves
    nothing,   // nothing that was not synced is there
    journal,   // names in the order of the operations up to one of them; any data
    anything,  // any names, any data
  };

  explicit PowerCut(const DiskRecord& record);

  /// Takes one more operation into account; false at the end of the record.
  bool Advance();
  size_t done() const { return done_; }

  DiskTree After(Left left, std::mt19937_64& random) const;

 private:
  using Numbers = std::vector<size_t>;  // of operations

  void SyncDirectory(int node);
  std::vector<bool> ChooseNames(Left left, std::mt19937_64& random) const;
  std::string ChooseBytes(int node, Left left, std::mt19937_64& random) const;
  void Copy(DiskTree& out, const DiskTree& names, int from, int to, Left left,
            std::mt19937_64& random) const;

  const DiskRecord& record_;
  size_t done_ = 0;
  DiskTree kept_;                    // synced
  std::map<int, Numbers> unsynced_;  // of data, by node
  Numbers names_;                    // not synced
};

}  // namespace sallyport::ledger
