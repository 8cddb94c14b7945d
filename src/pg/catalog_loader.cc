#include "pg/catalog_loader.h"

#include "pg/catalog_classify.h"
#include "pg/catalog_queries.h"
#include "pg/catalog_refresh.h"

namespace sallyport::pg {

Task<std::shared_ptr<const sql::Catalog>> LoadCatalog(
    Server& server, const std::vector<ClassifiedColumn>& classified, uint64_t epoch) {
  CatalogMemory memory;
  co_return co_await RefreshCatalog(server, classified, epoch, memory);
}

Task<std::shared_ptr<const sql::Catalog>> RefreshCatalog(
    Server& server, const std::vector<ClassifiedColumn>& classified, uint64_t epoch,
    CatalogMemory& memory) {
  SALLYPORT_CO_TRY(auto database, co_await ReadDatabase(server));
  std::string digest = database.digest;
  for (const ClassifiedColumn& column : classified) {
    digest += column.pattern + '\n' + column.detector + '\n' +
              std::to_string(static_cast<int>(column.mask)) + ' ' +
              std::to_string(column.relation) + ' ' + std::to_string(column.column) + '\n';
  }
  if (memory.catalog && memory.digest == digest) co_return memory.catalog;
  SALLYPORT_CO_TRY(auto content, co_await ClassifyDatabase(std::move(database), classified));
  content.epoch = epoch;
  auto catalog = std::make_shared<const sql::Catalog>(std::move(content));
  memory = {.digest = std::move(digest), .catalog = catalog};
  co_return catalog;
}

}  // namespace sallyport::pg
