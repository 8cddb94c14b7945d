#include "pg/frontend_catalog.h"

#include "net/event.h"
#include "obs/log.h"

namespace sallyport::pg {
namespace {

constexpr std::chrono::milliseconds kPoll{5};
constexpr std::chrono::seconds kPatience{30};

int64_t Ns(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}

/// Lets the next one load, however this load ends.
class Loading {
 public:
  explicit Loading(std::atomic<bool>& flag) : flag_(flag) {}
  ~Loading() { flag_.store(false); }
  Loading(const Loading&) = delete;

 private:
  std::atomic<bool>& flag_;
};

}  // namespace

CatalogKeeper::CatalogKeeper(std::shared_ptr<const ServerAddress> address,
                             std::shared_ptr<Credentials> credentials,
                             std::vector<ClassifiedColumn> classified,
                             std::chrono::milliseconds refresh)
    : address_(std::move(address)),
      credentials_(std::move(credentials)),
      classified_(std::move(classified)),
      refresh_(refresh) {}

Task<std::shared_ptr<const sql::Catalog>> CatalogKeeper::Load() {
  const uint64_t begun = begun_.fetch_add(1) + 1;
  SALLYPORT_CO_TRY(Server server, co_await LogIn(*address_, credentials_->Admin()));
  auto loaded = co_await LoadCatalog(server, classified_, begun);
  server.stream->Close();
  if (!loaded) {
    obs::Log(obs::Level::error, "pg.catalog_failed",
             {{"reason", ReasonCode(loaded.error().code)}, {"detail", loaded.error().detail}});
    co_return std::unexpected(loaded.error());
  }
  last_.store(*loaded);
  done_.store(begun);
  loaded_at_.store(Ns(std::chrono::steady_clock::now()));
  co_return *loaded;
}

Task<std::shared_ptr<const sql::Catalog>> CatalogKeeper::Newer(uint64_t since) {
  const auto until = std::chrono::steady_clock::now() + kPatience;
  while (done_.load() <= since) {
    if (!loading_.exchange(true)) {
      const Loading loading(loading_);
      if (done_.load() > since) break;
      co_return co_await Load();
    }
    SALLYPORT_CO_CHECK(co_await net::Sleep(kPoll));
    if (std::chrono::steady_clock::now() > until)
      co_return Fail(Errc::upstream_timeout, "the database's catalog could not be read in time");
  }
  co_return last_.load();
}

Task<std::shared_ptr<const sql::Catalog>> CatalogKeeper::Fresh() {
  constexpr std::chrono::nanoseconds kFresh = std::chrono::milliseconds(500);
  if (Ns(std::chrono::steady_clock::now()) - loaded_at_.load() < kFresh.count())
    co_return last_.load();
  co_return co_await Newer(begun_.load());
}

bool CatalogKeeper::Due(std::chrono::steady_clock::time_point now) {
  const int64_t at = loaded_at_.load();
  if (at == 0 || loading_.load()) return false;
  if (Ns(now) - at < std::chrono::duration_cast<std::chrono::nanoseconds>(refresh_).count())
    return false;
  int64_t expected = at;
  return loaded_at_.compare_exchange_strong(expected, Ns(now));
}

}  // namespace sallyport::pg
