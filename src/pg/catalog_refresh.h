#pragma once

#include <memory>
#include <string>
#include <vector>

#include "pg/catalog_loader.h"

namespace sallyport::pg {

/// What a load leaves for the next one of the same database.
struct CatalogMemory {
  std::string digest;
  std::shared_ptr<const sql::Catalog> catalog;
};

/// LoadCatalog() for whoever loads again and again: where nothing has changed since, the snapshot
/// is the same object (with its epoch and its id), so what was remembered with it stays good.
Task<std::shared_ptr<const sql::Catalog>> RefreshCatalog(
    Server& server, const std::vector<ClassifiedColumn>& classified, uint64_t epoch,
    CatalogMemory& memory);

}  // namespace sallyport::pg
