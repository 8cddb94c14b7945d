#include "pg/frontend_catalog.h"

#include <algorithm>
#include <cstdlib>
#include <set>
#include <unordered_set>

#include "net/event.h"
#include "obs/log.h"
#include "policy/glob.h"

namespace sallyport::pg {
namespace {

constexpr std::chrono::milliseconds kPoll{5};
constexpr std::chrono::seconds kPatience{30};

int64_t Ns(std::chrono::steady_clock::time_point t) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(t.time_since_epoch()).count();
}

/// Plain tables as the asking session sees them, its temporary ones with them. What inherits is
/// left out, and so are views: their classification would have to be followed, so that a name of
/// one that is not committed yet stays unknown and refused.
constexpr std::string_view kOwnTables =
    "SELECT c.oid, n.nspname, c.relname, a.attname, a.attnum, a.atttypid,"
    " pg_catalog.format_type(a.atttypid, a.atttypmod)"
    " FROM pg_catalog.pg_class c"
    " JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) c.relnamespace"
    " JOIN pg_catalog.pg_attribute a ON a.attrelid OPERATOR(pg_catalog.=) c.oid"
    " WHERE c.relkind OPERATOR(pg_catalog.=) 'r' AND a.attnum OPERATOR(pg_catalog.>) 0"
    " AND NOT a.attisdropped AND c.oid OPERATOR(pg_catalog.>=) 16384"
    " AND (c.relpersistence OPERATOR(pg_catalog.<>) 't'"
    " OR n.oid OPERATOR(pg_catalog.=) pg_catalog.pg_my_temp_schema())"
    " AND NOT EXISTS (SELECT FROM pg_catalog.pg_inherits i"
    " WHERE i.inhrelid OPERATOR(pg_catalog.=) c.oid)"
    " ORDER BY c.oid, a.attnum";
constexpr std::chrono::seconds kQuestion{10};

/// What the configuration classifies by name; a table of the session's own has no other way to be
/// classified, as what is written into it is judged.
class Patterns {
 public:
  explicit Patterns(const std::vector<ClassifiedColumn>& classified) {
    for (const ClassifiedColumn& c : classified) {
      auto glob = policy::Glob::Make(c.pattern);
      if (glob && c.relation == 0) globs_.emplace_back(std::move(*glob), &c);
    }
  }
  const ClassifiedColumn* Find(const std::string& name) const {
    for (const auto& [glob, column] : globs_) {
      if (glob.Matches(name)) return column;
    }
    return nullptr;
  }

 private:
  std::vector<std::pair<policy::Glob, const ClassifiedColumn*>> globs_;
};

std::shared_ptr<const sql::Catalog> MergeOwn(const sql::Catalog& last,
                                             const std::vector<ClassifiedColumn>& classified,
                                             const std::vector<Row>& rows, uint64_t epoch) {
  sql::Catalog::Content content = last.content();
  content.epoch = epoch;
  const Patterns patterns(classified);
  std::vector<sql::CatalogRelation> own;
  for (const Row& row : rows) {
    if (row.size() != 7 || !row[0] || !row[1] || !row[2] || !row[3] || !row[4] || !row[5]) continue;
    const auto oid = static_cast<uint32_t>(std::strtoul(row[0]->c_str(), nullptr, 10));
    const sql::CatalogRelation* known = last.FindOid(oid);
    if (known != nullptr && (known->classified || known->kind != 'r')) continue;
    if (own.empty() || own.back().oid != oid) {
      sql::CatalogRelation relation;
      relation.oid = oid;
      relation.schema = *row[1];
      relation.name = *row[2];
      own.push_back(std::move(relation));
    }
    sql::CatalogColumn column;
    column.name = *row[3];
    column.number = static_cast<int16_t>(std::atoi(row[4]->c_str()));
    column.type = static_cast<uint32_t>(std::strtoul(row[5]->c_str(), nullptr, 10));
    column.type_name = row[6].value_or("");
    const std::string name = own.back().schema + "." + own.back().name + "." + column.name;
    if (const ClassifiedColumn* as = patterns.Find(name)) {
      column.mask = as->mask;
      column.detector = as->detector;
      own.back().classified = true;
    }
    own.back().columns.push_back(std::move(column));
  }
  std::unordered_set<uint32_t> oids;
  std::set<std::pair<std::string_view, std::string_view>> names;
  for (const sql::CatalogRelation& o : own) oids.insert(o.oid), names.emplace(o.schema, o.name);
  std::erase_if(content.relations, [&](const sql::CatalogRelation& relation) {
    return oids.contains(relation.oid) || names.contains({relation.schema, relation.name});
  });
  std::ranges::move(own, std::back_inserter(content.relations));
  return std::make_shared<const sql::Catalog>(std::move(content));
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
                             std::shared_ptr<const PanMap> pan_map,
                             std::chrono::milliseconds refresh)
    : address_(std::move(address)),
      credentials_(std::move(credentials)),
      classified_(std::move(classified)),
      pan_map_(std::move(pan_map)),
      refresh_(refresh) {}

Task<std::shared_ptr<const sql::Catalog>> CatalogKeeper::Load() {
  const uint64_t begun = begun_.fetch_add(1) + 1;
  SALLYPORT_CO_TRY(ServerLogin login, co_await credentials_->Admin());
  SALLYPORT_CO_TRY(Server server, co_await LogIn(*address_, std::move(login)));
  std::vector<ClassifiedColumn> classified = classified_;
  classified.insert(classified.end(), found_.begin(), found_.end());
  const std::vector<ClassifiedColumn> by_content = pan_map_->classified();
  classified.insert(classified.end(), by_content.begin(), by_content.end());
  auto loaded = co_await RefreshCatalog(server, classified, begun, memory_);
  server.stream->Close();
  if (!loaded) {
    obs::Log(obs::Level::error, "pg.catalog_failed",
             {{"reason", ReasonCode(loaded.error().code)}, {"detail", loaded.error().detail}});
    co_return std::unexpected(loaded.error());
  }
  KeepFound(**loaded);
  last_.store(*loaded);
  newest_.store(loaded->get(), std::memory_order_release);
  done_.store(begun);
  finished_at_.store(Ns(std::chrono::steady_clock::now()));
  loaded_at_.store(finished_at_.load());
  co_return *loaded;
}

void CatalogKeeper::KeepFound(const sql::Catalog& catalog) {
  std::set<std::pair<uint32_t, int16_t>> known;
  for (const ClassifiedColumn& f : found_) known.emplace(f.relation, f.column);
  for (const sql::CatalogRelation& relation : catalog.content().relations) {
    // Those of views follow from what they read, and change with their definition.
    if (!relation.classified || relation.kind == 'v' || relation.kind == 'm') continue;
    for (const sql::CatalogColumn& column : relation.columns) {
      if (!column.classified() || column.derived) continue;
      if (!known.emplace(relation.oid, column.number).second) continue;
      found_.push_back({.detector = column.detector,
                        .mask = column.mask,
                        .relation = relation.oid,
                        .column = column.number});
    }
  }
}

Task<std::shared_ptr<const sql::Catalog>> CatalogKeeper::LoadThrough(Server& server) {
  const uint64_t epoch = begun_.fetch_add(1) + 1;  // of its own: caches tell snapshots apart by it
  SALLYPORT_CO_TRY(const std::vector<Row> rows,
                   co_await Query(server, std::string(kOwnTables), kQuestion));
  const std::shared_ptr<const sql::Catalog> last = last_.load();
  if (!last) co_return Fail(Errc::upstream_protocol, "there is no catalog yet");
  co_return MergeOwn(*last, classified_, rows, epoch);
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

std::optional<uint64_t> CatalogKeeper::Outdated(std::chrono::steady_clock::time_point now) const {
  const int64_t at = finished_at_.load();
  if (at == 0 || Ns(now) - at < std::chrono::nanoseconds(refresh_).count()) return std::nullopt;
  return done_.load();
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
