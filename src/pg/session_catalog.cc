#include "pg/session.h"

namespace sallyport::pg {

namespace {

constexpr std::chrono::seconds kQuestion{10};

}  // namespace

/// The snapshot that texts are judged against now.
Task<Session::CatalogPtr> Session::CatalogNow() {
  if (own_catalog_) co_return own_catalog_;
  CatalogPtr last = catalog_old_ ? nullptr : place_.catalog.last();
  if (!last) {
    SALLYPORT_CO_TRY(last, co_await place_.catalog.Newer(catalog_since_));
    catalog_old_ = false;
  }
  co_return last;
}

/// One that may have a name which `last` does not have.
Task<Session::CatalogPtr> Session::CatalogWith(CatalogPtr last) {
  if (did_ddl_) {
    SALLYPORT_CO_TRY(CatalogPtr own, co_await OwnCatalog());
    if (own) co_return own;
  }
  if (own_catalog_) co_return last;
  co_return co_await place_.catalog.Fresh();
}

/// What this session changed and has not committed, and its temporary relations, are seen by its
/// own backend only: it is asked between two requests of the client, where a question of ours
/// changes nothing but the unnamed statement. Null where that is not possible.
Task<Session::CatalogPtr> Session::OwnCatalog() {
  if (group_begun_) co_return nullptr;  // it would come between the requests of the group
  if (!co_await WaitWhile([] { return true; })) co_return Fail(Errc::cancelled);
  if (!pending_.empty() || status_ == 'E' || !server_.stream->data().empty()) co_return nullptr;
  borrowed_ = true;
  auto catalog = co_await place_.catalog.LoadThrough(server_);
  if (catalog) {
    const auto path = co_await Query(server_, "select unnest(current_schemas(true))", kQuestion);
    if (path) {
      names_.search_path.clear();
      for (const Row& row : *path) {
        if (!row.empty() && row[0]) names_.search_path.push_back(*row[0]);
      }
    }
  }
  borrowed_ = false;
  work_.Set();
  names_.SimpleQuery();
  if (!catalog) co_return std::unexpected(catalog.error());
  own_catalog_ = *catalog;
  co_return own_catalog_;
}

/// The server half while nothing has to be answered: it waits without reading, so that the client
/// half may ask questions of its own. False: the connection has ended.
Session::Await Session::WaitForWork(size_t had) {
  while (pending_.empty() && !stop_ && !client_gone_) {
    if (!borrowed_) {
      if (server_.stream->ended() || server_.stream->data().size() != had) break;
      server_.stream->OnData([this] { work_.Set(); });
      server_.stream->OnEnd([this] { work_.Set(); });
      server_.stream->Watch();
    }
    work_.Clear();
    (void)co_await work_.Wait(std::chrono::hours(24));
  }
  server_.stream->OnData(nullptr);
  server_.stream->OnEnd(nullptr);
  co_return !server_.stream->ended() || server_.stream->data().size() != had;
}

}  // namespace sallyport::pg
