#pragma once

#include <cstdint>
#include <vector>

#include "base/result.h"
#include "pg/catalog_loader.h"
#include "pg/catalog_queries.h"

namespace sallyport::pg {

/// The pure half of LoadCatalog: marks what the configuration names and whatever shows its values.
/// Marks only grow while views, functions, heirs and generated columns are followed in rounds,
/// until a round changes nothing; so what refers to itself comes out right. config_invalid for a
/// pattern that is not schema.table.column.
Result<sql::Catalog::Content> ClassifyDatabase(DatabaseCatalog database,
                                               const std::vector<ClassifiedColumn>& classified);

}  // namespace sallyport::pg
