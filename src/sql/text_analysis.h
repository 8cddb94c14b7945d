#pragma once

#include <memory>
#include <string_view>

#include "sql/analyze.h"
#include "sql/rewrite.h"

namespace sallyport::sql {

/// What Analyzer finds out about one text, and for how long it holds.
struct Judged {
  std::shared_ptr<Analysis> analysis;
  bool cacheable = true;          // false: it depends on the names of the session
  std::vector<Splice> splices;    // that made analysis->sql
  bool literal_sensitive = true;  // another literal in the text could change it
};

/// Reads and judges one text, without a cache.
Judged JudgeText(std::string_view text, const Catalog& catalog, const SessionNames& names,
                 const Analyzer::Options& options);

}  // namespace sallyport::sql
