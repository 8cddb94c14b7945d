#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "ledger/reader.h"

struct sqlite3;

namespace sallyport::ledger {

/// What to look for. Empty members match everything; all that are set must match.
struct SearchCriteria {
  std::string person;  // subject or name
  std::string agent;
  std::string connection;
  std::string table;     // all of its words stand in recorded SQL: more than match, never less
  std::string card;      // keyed token of a card number (mask/card_tokens.h) that was masked
  std::string tool;      // resource: tool, prompt, URI, relation; outcomes match by their intent
  std::string decision;  // a verdict (allow, deny, approve), a decision id (d_…), an approval id
                         // (a_…) or a reason code
  std::string session;   // s_…; with all entries about its requests for approval
  bool with_caused = false;  // beside `session`: what has a trace id of it, in any session
  std::string trace;         // trace id
  std::string event;         // "call.denied", or all of a kind: "call."
  Nanos from = 0;            // inclusive
  Nanos to = 0;              // exclusive; 0: no end
  uint64_t first = 0;        // lowest index
  uint64_t limit = 1000;     // at most so many, the newest ones
};

/// `<data_dir>/index.sqlite`: who, what, when of each entry, so that a search does not read the
/// whole log. It is built out of the log, on demand, and never believed: a search reads the entries
/// themselves. An index that is damaged, of another log or of a log that was rolled back is deleted
/// and built anew. It holds less than the log, so nothing unmasked. Where the directory cannot be
/// written it lives in memory. Not thread-safe; processes may share the file.
class SearchIndex {
 public:
  static Result<SearchIndex> Open(const std::filesystem::path& data_dir);
  SearchIndex(SearchIndex&&) noexcept;
  SearchIndex& operator=(SearchIndex&&) noexcept;
  ~SearchIndex();

  /// Takes in what the log has and the index does not.
  Result<> Update(LogReader& log);
  /// Indexes of matching entries, rising.
  Result<std::vector<uint64_t>> Find(const SearchCriteria& criteria);
  /// How many entries match, whatever `limit` says.
  Result<uint64_t> Count(const SearchCriteria& criteria);

 private:
  explicit SearchIndex(sqlite3* db);
  Result<> Prepare();
  Result<> BindToLog(LogReader& log);

  struct Close {
    void operator()(sqlite3* db) const;
  };
  std::unique_ptr<sqlite3, Close> db_;
  uint64_t next_ = 0;  // first entry that is not in the index
};

}  // namespace sallyport::ledger
