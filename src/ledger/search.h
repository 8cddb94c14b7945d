#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "base/result.h"
#include "ledger/index.h"

namespace sallyport::ledger {

/// An entry as readers see it.
struct Found {
  uint64_t index = 0;
  std::string json;  // one line, see RenderEntry
};

/// Entries that match, oldest first, with who and where resolved. Brings the search index up to
/// date first. `matched` (may be null): how many match, of which at most `limit` are returned.
Result<std::vector<Found>> Search(const std::filesystem::path& data_dir,
                                  const SearchCriteria& criteria, uint64_t* matched = nullptr);

/// These entries as readers see them.
Result<std::vector<Found>> ShowEntries(const std::filesystem::path& data_dir,
                                       const std::vector<uint64_t>& indexes);

/// Entry `index` as readers see it.
Result<Found> ShowEntry(const std::filesystem::path& data_dir, uint64_t index);

/// Gives the last `count` entries, then, with `follow`, each new one within a second, until `visit`
/// returns false. While following, `visit` is called with null about five times a second, so that
/// it can end.
Result<> Tail(const std::filesystem::path& data_dir, uint64_t count, bool follow,
              const std::function<bool(const Found*)>& visit);

}  // namespace sallyport::ledger
