#include "state/database.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <system_error>
#include <unistd.h>
#include <utility>

namespace sallyport::state {
namespace {

constexpr int kFormat = 1;  // of the file as a whole: PRAGMA user_version

std::unexpected<Error> Failed(sqlite3* db) {
  return Fail(Errc::state_unavailable, std::string("state: ") + sqlite3_errmsg(db));
}

}  // namespace

Statement::Statement(Statement&& other) noexcept
    : statement_(std::exchange(other.statement_, nullptr)), next_(other.next_) {}

Statement::~Statement() {
  if (statement_ == nullptr) return;
  sqlite3_reset(statement_);
  sqlite3_clear_bindings(statement_);
}

Statement& Statement::Bind(int64_t value) {
  sqlite3_bind_int64(statement_, ++next_, value);
  return *this;
}

Statement& Statement::Bind(std::string_view text) {
  sqlite3_bind_text64(statement_, ++next_, text.data() == nullptr ? "" : text.data(), text.size(),
                      SQLITE_TRANSIENT, SQLITE_UTF8);
  return *this;
}

Statement& Statement::BindBytes(std::string_view bytes) {
  sqlite3_bind_blob64(statement_, ++next_, bytes.data() == nullptr ? "" : bytes.data(),
                      bytes.size(), SQLITE_TRANSIENT);
  return *this;
}

Statement& Statement::BindNull() {
  sqlite3_bind_null(statement_, ++next_);
  return *this;
}

Result<bool> Statement::Step() {
  switch (sqlite3_step(statement_)) {
    case SQLITE_ROW:
      return true;
    case SQLITE_DONE:
      return false;
    default:
      return Failed(sqlite3_db_handle(statement_));
  }
}

Result<> Statement::Run() {
  SALLYPORT_CHECK(Step());
  return {};
}

int64_t Statement::Integer(int column) const { return sqlite3_column_int64(statement_, column); }

std::string_view Statement::Text(int column) const {
  const auto* bytes = static_cast<const char*>(sqlite3_column_blob(statement_, column));
  if (bytes == nullptr) return {};
  return {bytes, size_t(sqlite3_column_bytes(statement_, column))};
}

bool Statement::IsNull(int column) const {
  return sqlite3_column_type(statement_, column) == SQLITE_NULL;
}

void Database::Close::operator()(sqlite3* db) const { sqlite3_close_v2(db); }
void Database::Finalize::operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }

Database::Database(sqlite3* db) : db_(db) {}
Database::~Database() { statements_.clear(); }

Result<std::unique_ptr<Database>> Database::Open(const std::filesystem::path& file,
                                                 Options options) {
  const auto cannot = [&](const std::string& why) {
    return Fail(Errc::state_unavailable, file.string() + ": " + why);
  };
  std::error_code error;
  if (std::filesystem::create_directories(file.parent_path(), error))
    std::filesystem::permissions(file.parent_path(), std::filesystem::perms::owner_all, error);
  // Made here and not by SQLite, which would let others read it.
  const int fd = ::open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (fd < 0) return cannot(std::generic_category().message(errno));
  ::close(fd);
  sqlite3* handle = nullptr;
  const int opened =
      sqlite3_open_v2(file.c_str(), &handle, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, nullptr);
  std::unique_ptr<Database> db(new Database(handle));
  if (opened != SQLITE_OK) return cannot(sqlite3_errstr(opened));
  if (auto prepared = db->Prepare(options); !prepared) return cannot(prepared.error().detail);
  return db;
}

Result<> Database::Prepare(const Options& options) {
  sqlite3_busy_timeout(db_.get(), int(options.busy.count()));
  sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_DEFENSIVE, 1, nullptr);
  sqlite3_db_config(db_.get(), SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, nullptr);
  SALLYPORT_CHECK(
      Execute("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;"
              "PRAGMA secure_delete = ON; PRAGMA cell_size_check = ON;"));
  if (options.max_pages > 0) {
    SALLYPORT_CHECK(
        Execute(("PRAGMA max_page_count = " + std::to_string(options.max_pages)).c_str()));
  }
  {
    SALLYPORT_TRY(Statement check, Use("PRAGMA quick_check(1)"));
    SALLYPORT_TRY(const bool row, check.Step());
    if (!row || check.Text(0) != "ok")
      return Fail(Errc::state_unavailable, "the file is damaged: " + std::string(check.Text(0)));
  }
  SALLYPORT_TRY(Statement version, Use("PRAGMA user_version"));
  SALLYPORT_CHECK(version.Step());
  if (version.Integer(0) > kFormat)
    return Fail(Errc::state_unavailable, "the file is of a newer version of sallyport");
  return Execute(
      "BEGIN IMMEDIATE; PRAGMA user_version = 1;"
      "CREATE TABLE IF NOT EXISTS module (name TEXT PRIMARY KEY, version INTEGER NOT NULL) STRICT;"
      "COMMIT");
}

Result<> Database::Migrate(std::string_view module, std::span<const char* const> steps) {
  int64_t version = 0;
  {
    SALLYPORT_TRY(Statement query, Use("SELECT version FROM module WHERE name = ?1"));
    SALLYPORT_TRY(const bool row, query.Bind(module).Step());
    if (row) version = query.Integer(0);
  }
  if (version > int64_t(steps.size())) {
    return Fail(Errc::state_unavailable, "state: the tables of " + std::string(module) +
                                             " are of a newer version of sallyport");
  }
  for (size_t i = size_t(version); i < steps.size(); ++i) {
    SALLYPORT_CHECK(Execute("BEGIN IMMEDIATE"));
    Result<> done = Execute(steps[i]);
    if (done) {
      SALLYPORT_TRY(Statement put, Use("INSERT OR REPLACE INTO module VALUES (?1, ?2)"));
      done = put.Bind(module).Bind(int64_t(i + 1)).Run();
    }
    if (done) done = Execute("COMMIT");
    if (!done) {
      if (in_transaction()) (void)Execute("ROLLBACK");
      return done;
    }
  }
  return {};
}

Result<> Database::Execute(const char* sql) {
  if (sqlite3_exec(db_.get(), sql, nullptr, nullptr, nullptr) != SQLITE_OK)
    return Failed(db_.get());
  return {};
}

Result<Statement> Database::Use(std::string_view sql) {
  auto& kept = statements_[std::string(sql)];
  if (!kept) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v3(db_.get(), sql.data(), int(sql.size()), SQLITE_PREPARE_PERSISTENT,
                           &statement, nullptr) != SQLITE_OK) {
      return Failed(db_.get());
    }
    kept.reset(statement);
  }
  return Statement(kept.get());
}

int64_t Database::changes() const { return sqlite3_changes64(db_.get()); }
bool Database::in_transaction() const { return sqlite3_get_autocommit(db_.get()) == 0; }

}  // namespace sallyport::state
