// Any text against a small catalog, some of whose columns are classified: never a crash; what is
// rewritten reads again as SQL with as many statements; nothing is said to be masked that is not
// classified; a second look and a look that trusts no relay agree with the first.
#include <cstdlib>
#include <string_view>

#include "sql/analyze.h"
#include "sql/lab_for_tests.h"
#include "sql/parse.h"

using namespace sallyport;

namespace {

void Check(bool holds) {
  if (!holds) std::abort();
}

/// The catalog of the tests, with other columns classified: the bits of `choice` say which.
std::shared_ptr<const sql::Catalog> Catalog(uint8_t choice) {
  auto content = sql::LabCatalog()->content();
  size_t i = 0;
  for (auto& relation : content.relations) {
    for (auto& column : relation.columns) {
      if (!column.classified()) continue;
      if ((choice >> (i++ % 6)) & 1) column.mask = sql::SourceMask::none, column.detector.clear();
      if (choice & 0x80) column.mask = sql::SourceMask::first6_last4;
    }
    relation.classified = false;
  }
  return std::make_shared<const sql::Catalog>(std::move(content));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static std::shared_ptr<const sql::Catalog> catalogs[256];
  static sql::Analyzer analyzer({.cache_entries = 64}), strict({.source_only = true});
  if (size == 0) return 0;
  auto& catalog = catalogs[data[0]];
  if (!catalog) catalog = Catalog(data[0]);
  std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  sql::SessionNames names;
  auto a = analyzer.Analyze(text, catalog, names);
  auto again = analyzer.Analyze(text, catalog, names);
  Check(a->route == again->route && a->sql == again->sql);
  Check((a->route == sql::Route::refused) == !a->refusal.detail.empty());
  Check((a->route == sql::Route::rewritten) == !a->sql.empty());
  Check(a->outputs.empty() || a->route == sql::Route::by_origin);
  for (const auto& output : a->outputs) {
    const auto* relation = catalog->FindOid(output.relation);
    Check(relation != nullptr && relation->classified);
    bool found = false;
    for (const auto& column : relation->columns)
      found |= column.number == output.column && column.mask == output.mask && column.classified();
    Check(found);
  }
  auto b = strict.Analyze(text, catalog, names);
  Check(b->route != sql::Route::by_origin);
  if (!a->outputs.empty())
    Check(b->route == sql::Route::rewritten || b->route == sql::Route::refused);
  for (const auto& one : {a, b}) {
    if (one->route != sql::Route::rewritten) continue;
    Check(one->classified && one->sql != text);
    auto tree = sql::ParseTree::Make(one->sql, {.max_bytes = 64u << 20, .max_depth = 300});
    Check(tree && tree->statements().size() == one->statements);
  }
  return 0;
}
