#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "sql/reading.h"

namespace sallyport::sql {

/// A part of a text and what stands in its place. `generated` says that all of it was written here
/// and names classified columns on purpose, inside their masks.
struct Splice {
  size_t begin = 0, end = 0;
  std::string text;
  bool generated = false;
};

/// What has to be exchanged in `text` so that the statements of `readings` see masked values only:
/// in order, without overlap. Each FROM item with classified columns becomes a sub-select of the
/// relation; where that would not work (system columns, TABLESAMPLE, columns that GROUP BY a key
/// allows), and in RETURNING, the references to the columns are replaced one by one.
/// sql_not_maskable: there is no way.
Result<std::vector<Splice>> PlanSplices(std::string_view text,
                                        const std::vector<const Reading*>& readings);

/// `text` with the splices put in; `generated`: where the generated ones stand in the result.
std::string ApplySplices(std::string_view text, const std::vector<Splice>& splices,
                         std::vector<Span>& generated);

}  // namespace sallyport::sql
