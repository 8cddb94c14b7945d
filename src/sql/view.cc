#include <string>
#include <unordered_set>

#include "sql/catalog.h"
#include "sql/parse.h"
#include "sql/reader.h"

namespace sallyport::sql {
namespace {

/// Definitions are written out by the server; they may be longer than what callers send.
constexpr Limits kLimits{.max_bytes = 4u << 20, .max_depth = 400};

}  // namespace

bool ClassifyView(std::string_view definition, const Catalog& so_far,
                  const std::vector<std::string>& search_path,
                  std::vector<CatalogColumn>& columns) {
  auto tree = ParseTree::Make(definition, kLimits);
  if (!tree || tree->statements().size() != 1) return false;
  auto body = tree->statements().first()["stmt"].first();
  if (body.key() != "SelectStmt") return false;
  Reading reading;
  std::unordered_set<std::string> created;
  Reader({so_far, search_path, created}, reading).Top(body.key(), body);
  const auto& outputs = reading.rows.columns;
  if (reading.refusal || reading.unknown_names || reading.rows.open ||
      outputs.size() != columns.size()) {
    return false;
  }
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto& from = outputs[i].from;
    if (!from.classified()) continue;
    // What is computed may hide the digits in any form: no part of it is fit to be shown.
    columns[i].derived = from.derived;
    columns[i].mask = from.derived ? SourceMask::null : from.mask;
    columns[i].detector = from.detector;
  }
  return true;
}

}  // namespace sallyport::sql
