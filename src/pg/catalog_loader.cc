#include "pg/catalog_loader.h"

#include "pg/catalog_classify.h"
#include "pg/catalog_queries.h"

namespace sallyport::pg {

Task<std::shared_ptr<const sql::Catalog>> LoadCatalog(
    Server& server, const std::vector<ClassifiedColumn>& classified, uint64_t epoch) {
  SALLYPORT_CO_TRY(auto database, co_await ReadDatabase(server));
  SALLYPORT_CO_TRY(auto content, ClassifyDatabase(std::move(database), classified));
  content.epoch = epoch;
  co_return std::make_shared<const sql::Catalog>(std::move(content));
}

}  // namespace sallyport::pg
