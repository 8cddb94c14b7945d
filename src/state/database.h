#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/result.h"

struct sqlite3;
struct sqlite3_stmt;

namespace sallyport::state {

/// A prepared statement in use; parameters are numbered from 1 in the order of the Bind calls. What
/// is bound is copied. Given back to the Database, ready for the next use, when it dies; it must
/// not outlive the Database.
class Statement {
 public:
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}
  Statement(Statement&& other) noexcept;
  Statement& operator=(Statement&&) = delete;
  ~Statement();

  Statement& Bind(int64_t value);
  Statement& Bind(std::string_view text);
  Statement& BindBytes(std::string_view bytes);
  Statement& BindNull();

  /// True: a row is there. state_unavailable: full, locked, damaged; the detail says which.
  Result<bool> Step();
  /// Runs a statement that gives no rows.
  Result<> Run();

  int64_t Integer(int column) const;
  /// Text or bytes of the current row; valid until the next Step.
  std::string_view Text(int column) const;
  bool IsNull(int column) const;

 private:
  sqlite3_stmt* statement_;
  int next_ = 0;
};

/// The gate's embedded state: one SQLite file (write-ahead log, synchronous FULL, so a commit
/// survives a power cut), foreign keys on, deleted content overwritten, schema untrusted
/// (https://www.sqlite.org/security.html). Whoever stores something there keeps its own tables.
///
/// One thread at a time; in the gate that is the Writer's. Every failure of SQLite is
/// state_unavailable with what SQLite says and no values.
class Database {
 public:
  struct Options {
    std::chrono::milliseconds busy{2000};  // how long to wait for another process's lock
    int64_t max_pages = 0;                 // of 4096 bytes; 0: SQLite's own limit
  };

  /// Opens or makes the file (mode 0600) and its directory (0700), and checks all of it.
  /// state_unavailable: no SQLite file, damaged, locked, of a newer version, or not writable; the
  /// detail names the file.
  static Result<std::unique_ptr<Database>> Open(const std::filesystem::path& file, Options options);
  static Result<std::unique_ptr<Database>> Open(const std::filesystem::path& file) {
    return Open(file, Options());
  }
  ~Database();
  Database(const Database&) = delete;

  /// Brings the tables of `module` up to date: step i makes version i+1 out of version i. Each runs
  /// once, in a transaction. A file that a newer version of the module has written is refused.
  Result<> Migrate(std::string_view module, std::span<const char* const> steps);

  /// Constant statements without parameters.
  Result<> Execute(const char* sql);
  /// A statement that is prepared once per text and kept.
  Result<Statement> Use(std::string_view sql);
  /// Rows that the last statement changed.
  int64_t changes() const;
  /// Whether a transaction is open: SQLite ends one by itself when the disk is full.
  bool in_transaction() const;

 private:
  explicit Database(sqlite3* db);
  Result<> Prepare(const Options& options);

  struct Close {
    void operator()(sqlite3* db) const;
  };
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const;
  };
  std::unique_ptr<sqlite3, Close> db_;
  std::unordered_map<std::string, std::unique_ptr<sqlite3_stmt, Finalize>> statements_;
};

}  // namespace sallyport::state
