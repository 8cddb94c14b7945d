#pragma once

#include <string_view>
#include <vector>

#include "json/document.h"
#include "sql/analyze.h"
#include "sql/reading.h"

namespace sallyport::sql {

/// How one statement can be answered.
struct Verdict {
  Route route = Route::refused;
  std::vector<MaskedOutput> outputs;  // of by_origin
  Error refusal;                      // of refused
  bool classified = false;            // names a relation with classified columns
};

/// Decides the route of the statement {node: body} that `reading` describes. `rewritten` says that
/// a rewriting has to be made and may still fail. `alone`: the text has no other statement.
Verdict Judge(std::string_view node, json::Value body, const Reading& reading,
              const Catalog& catalog, bool source_only, bool alone);

/// SET, RESET: what would make later texts mean something else than what is read here.
Error RefusedSetting(json::Value body, const Catalog& catalog);

}  // namespace sallyport::sql
