#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/task.h"
#include "pg/server.h"
#include "sql/catalog.h"

namespace sallyport::pg {

/// A column that the configuration classifies: globs over schema, table and column. Or one that was
/// found to hold card numbers (PanMap), by its numbers.
struct ClassifiedColumn {
  /// "public.payments.card_number", "public.*.cvv". With numbers: the name that the column has to
  /// have, literally; empty: any.
  std::string pattern;
  std::string detector;
  sql::SourceMask mask = sql::SourceMask::full;
  uint32_t relation = 0;  // not by its name but by its numbers: table OID and attribute number
  int16_t column = 0;

  bool operator==(const ClassifiedColumn&) const = default;
};

/// Reads pg_class, pg_attribute, pg_inherits, pg_rewrite and pg_proc through `server` (an
/// administrator's, or the session's own login) and makes the snapshot: configured columns are
/// classified, and whatever shows their values is followed: views and materialised views by their
/// definition, partitions and inheritance both ways, generated columns, foreign tables of the same
/// name, functions in SQL by their body; what cannot be followed counts as touching them.
Task<std::shared_ptr<const sql::Catalog>> LoadCatalog(
    Server& server, const std::vector<ClassifiedColumn>& classified, uint64_t epoch);

}  // namespace sallyport::pg
