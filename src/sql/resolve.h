#pragma once

#include <string>
#include <vector>

#include "op/operation.h"
#include "sql/catalog.h"
#include "sql/reading.h"

namespace sallyport::sql {

/// Puts resolved names into what the text alone said: relations as "schema.name", the complete list
/// of columns as "schema.table.column", functions of the catalog as "schema.name". Names that the
/// catalog does not have stay as they are written.
void ResolveNames(op::SqlStatement& statement, const Reading& reading, const Catalog& catalog,
                  const std::vector<std::string>& search_path);

}  // namespace sallyport::sql
