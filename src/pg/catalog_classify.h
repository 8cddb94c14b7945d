#pragma once

#include <cstdint>
#include <vector>

#include "base/task.h"
#include "pg/catalog_loader.h"
#include "pg/catalog_queries.h"

namespace sallyport::pg {

/// The half of LoadCatalog that asks nobody: marks what the configuration names and whatever shows
/// its values. Marks only grow while views, functions, heirs and generated columns are followed in
/// rounds, until a round changes nothing; so what refers to itself comes out right. Lets others on
/// the shard go on every few milliseconds. config_invalid for a pattern that is not
/// schema.table.column.
Task<sql::Catalog::Content> ClassifyDatabase(DatabaseCatalog database,
                                             std::vector<ClassifiedColumn> classified);

}  // namespace sallyport::pg
