#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "op/operation.h"
#include "sql/catalog.h"
#include "sql/classify.h"

namespace sallyport::sql {

/// What is sent upstream in place of what was asked.
enum class Route : uint8_t {
  as_is,      // touches nothing classified
  by_origin,  // as it is: classified columns stand as bare outputs only, `outputs` says where; the
              // relay masks those cells
  rewritten,  // `sql`: every classified relation is replaced by a sub-select of masked values
  refused,    // cannot be masked soundly; `refusal` says why
};

/// A column of the result that the relay must mask whatever its content looks like (by_origin).
struct MaskedOutput {
  size_t index = 0;       // position in the row, from 0
  uint32_t relation = 0;  // table OID and attribute number that RowDescription must name;
  int16_t column = 0;     // anything else: the relay refuses the result
  SourceMask mask = SourceMask::full;
};

struct Analysis;
using AnalysisPtr = std::shared_ptr<const Analysis>;

/// What a statement does to the names of a session (prepared statements, cursors: one name space
/// with the protocol's own).
struct NameEffect {
  enum class What : uint8_t {
    prepare,
    execute,
    deallocate,
    deallocate_all,
    declare,
    fetch,
    close,
    close_all,
    discard_all
  };
  What what;
  std::string name;
  AnalysisPtr inner;  // of prepare and declare: the statement behind the name
};

/// One text, read against one catalog. Immutable, shared by all sessions and threads.
struct Analysis {
  op::SqlText text;  // for the policy: relations and functions resolved to "schema.name"
  Route route = Route::refused;
  std::string sql;                    // of rewritten: the whole text
  std::vector<MaskedOutput> outputs;  // of by_origin
  Error refusal;  // of refused: sql_unparsable, sql_not_maskable; detail for the caller
  /// Of refused: the reason is that the catalog does not have this relation, as the text writes it.
  std::string missing;
  /// It reads or writes a relation with classified columns: errors and notices keep their code and
  /// template only.
  bool classified = false;
  /// It names something that the snapshot does not have. The route is safe all the same (mostly
  /// refused); a newer snapshot may know the name: worth one refresh and another judgement.
  bool catalog_stale = false;
  bool changes_catalog = false;  // DDL passes: the snapshot is old afterwards
  bool copy_in = false, copy_out = false;
  bool returns_rows = false;
  bool transaction_control = false;
  size_t statements = 0;  // 0: an empty text
  std::vector<NameEffect> names;
  /// PostgreSQL command tag of the first statement where it is one word or two ("SELECT").
  std::string kind;
};

/// What of a session changes the meaning of a text.
struct SessionNames {
  std::vector<std::string> search_path{"pg_catalog", "public"};  // as the server resolves it now
  /// The statement behind a prepared statement or cursor; null: no such name, or not for sure.
  virtual AnalysisPtr Lookup(std::string_view name) const {
    (void)name;
    return nullptr;
  }
  /// Whether the session may have made this name itself. A cursor of another name was opened by a
  /// function.
  virtual bool Knows(std::string_view name) const {
    (void)name;
    return false;
  }
  virtual ~SessionNames() = default;
};

/// Judges texts against catalogs and remembers the answers: by exact text, and by shape where only
/// literals differ that cannot change the answer. Bounded; thread-safe (one per shard avoids the
/// lock's cost; the lock is never held while parsing).
class Analyzer {
 public:
  struct Options {
    Limits limits;
    size_t cache_entries = 4096;
    size_t cache_bytes = 16u << 20;
    /// Only masked-source: never rely on the relay (`by_origin` is not used).
    bool source_only = false;
  };
  explicit Analyzer(Options options);
  ~Analyzer();

  /// Never fails: what cannot be read or judged is Route::refused. `text` is UTF-8 under
  /// standard_conforming_strings = on; anything else is refused.
  AnalysisPtr Analyze(std::string_view text, const std::shared_ptr<const Catalog>& catalog,
                      const SessionNames& names);

  struct Stats {
    uint64_t exact_hits = 0, shape_hits = 0, misses = 0;
  };
  Stats stats() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::sql
