#include "ledger/index.h"

#include <algorithm>
#include <fcntl.h>
#include <map>
#include <optional>
#include <set>
#include <sqlite3.h>
#include <system_error>
#include <unistd.h>

#include "base/bytes.h"
#include "ledger/entry.h"
#include "ledger/sql_words.h"
#include "ledger/tree.h"

namespace sallyport::ledger {
namespace {

constexpr uint64_t kBatch = 4096;  // entries in one transaction

constexpr int64_t kVersion = 5;  // PRAGMA user_version; an older index is built anew

constexpr const char* kSchema = R"(
PRAGMA synchronous = OFF;
PRAGMA user_version = 5;
CREATE TABLE IF NOT EXISTS meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS session (
  idx INTEGER PRIMARY KEY, sid TEXT, subject TEXT, name TEXT, agent TEXT);
CREATE TABLE IF NOT EXISTS entry (
  idx INTEGER PRIMARY KEY, at INTEGER, event TEXT, session INTEGER, connection TEXT, resource TEXT,
  verdict TEXT, decision TEXT, reason TEXT, approval TEXT, trace TEXT, shape INTEGER);
CREATE TABLE IF NOT EXISTS shape (id INTEGER PRIMARY KEY, words TEXT UNIQUE);
CREATE TABLE IF NOT EXISTS word (word TEXT, shape INTEGER, PRIMARY KEY (word, shape)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS card (token TEXT, idx INTEGER, PRIMARY KEY (token, idx)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS entry_shape ON entry (shape) WHERE shape IS NOT NULL;
CREATE INDEX IF NOT EXISTS entry_session ON entry (session);
CREATE INDEX IF NOT EXISTS entry_at ON entry (at);
CREATE INDEX IF NOT EXISTS entry_approval ON entry (approval) WHERE approval IS NOT NULL;
CREATE INDEX IF NOT EXISTS entry_trace ON entry (trace) WHERE trace IS NOT NULL;
CREATE INDEX IF NOT EXISTS session_sid ON session (sid);
CREATE INDEX IF NOT EXISTS session_subject ON session (subject);
CREATE INDEX IF NOT EXISTS session_name ON session (name);
CREATE INDEX IF NOT EXISTS session_agent ON session (agent);
)";

std::unexpected<Error> SqlError(sqlite3* db) {
  return Fail(Errc::io_failed, std::string("search index: ") + sqlite3_errmsg(db));
}

/// A prepared statement; parameters are numbered from 1 in the order of the calls.
class Statement {
 public:
  Statement(sqlite3* db, const std::string& sql) : db_(db) {
    sqlite3_prepare_v2(db, sql.c_str(), int(sql.size()), &statement_, nullptr);
  }
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  explicit operator bool() const { return statement_ != nullptr; }
  Statement& Bind(std::optional<std::string_view> text) {
    ++next_;
    if (text) {
      sqlite3_bind_text(statement_, next_, text->data(), int(text->size()), SQLITE_TRANSIENT);
    } else {
      sqlite3_bind_null(statement_, next_);
    }
    return *this;
  }
  Statement& Bind(int64_t value) {
    sqlite3_bind_int64(statement_, ++next_, value);
    return *this;
  }
  Statement& BindNull() {
    sqlite3_bind_null(statement_, ++next_);
    return *this;
  }
  /// True: a row is there.
  Result<bool> Step() {
    switch (sqlite3_step(statement_)) {
      case SQLITE_ROW:
        return true;
      case SQLITE_DONE:
        return false;
      default:
        return SqlError(db_);
    }
  }
  Result<> Run() {
    SALLYPORT_CHECK(Step());
    sqlite3_reset(statement_);
    next_ = 0;
    return {};
  }
  int64_t Integer(int column) const { return sqlite3_column_int64(statement_, column); }
  std::string Text(int column) const {
    const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement_, column));
    return text == nullptr ? std::string()
                           : std::string(text, size_t(sqlite3_column_bytes(statement_, column)));
  }

 private:
  sqlite3* db_;
  sqlite3_stmt* statement_ = nullptr;
  int next_ = 0;
};

Result<> Execute(sqlite3* db, const char* sql) {
  if (sqlite3_exec(db, sql, nullptr, nullptr, nullptr) != SQLITE_OK) return SqlError(db);
  return {};
}

sqlite3* OpenDatabase(const std::string& name) {
  sqlite3* db = nullptr;
  if (sqlite3_open_v2(name.c_str(), &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, nullptr) !=
      SQLITE_OK) {
    sqlite3_close(db);
    return nullptr;
  }
  sqlite3_busy_timeout(db, 5000);
  return db;
}

Result<std::string> Meta(sqlite3* db, std::string_view key) {
  Statement query(db, "SELECT value FROM meta WHERE key = ?1");
  if (!query) return SqlError(db);
  SALLYPORT_TRY(const bool row, query.Bind(key).Step());
  return row ? query.Text(0) : std::string();
}

Result<> SetMeta(sqlite3* db, std::string_view key, std::string_view value) {
  Statement put(db, "INSERT OR REPLACE INTO meta VALUES (?1, ?2)");
  if (!put) return SqlError(db);
  return put.Bind(key).Bind(value).Run();
}

/// Adds single entries inside a transaction.
class Inserter {
 public:
  explicit Inserter(sqlite3* db)
      : db_(db),
        entry_(db,
               "INSERT OR REPLACE INTO entry VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, "
               "?12)"),
        session_(db, "INSERT OR REPLACE INTO session VALUES (?1, ?2, ?3, ?4, ?5)"),
        about_(db, "SELECT connection, resource, trace, shape FROM entry WHERE idx = ?1"),
        shape_(db, "INSERT OR IGNORE INTO shape (words) VALUES (?1)"),
        shape_id_(db, "SELECT id FROM shape WHERE words = ?1"),
        word_(db, "INSERT OR IGNORE INTO word VALUES (?1, ?2)"),
        card_(db, "INSERT OR IGNORE INTO card VALUES (?1, ?2)") {}

  Result<> Add(uint64_t index, std::string_view bytes) {
    if (!entry_ || !session_ || !about_ || !shape_ || !shape_id_ || !word_ || !card_)
      return SqlError(db_);
    const Result<Entry> entry = DecodeEntry(bytes);
    if (!entry) return {};  // not of this version: it stays in the log and is not found by a search
    const json::Value root = entry->document.root();
    std::optional<std::string> connection = Owned(root["c"]), resource = Owned(root["r"]),
                               trace = Owned(root["tr"]);
    int64_t shape = 0;
    if (const json::Value request = root["req"]) {
      SALLYPORT_TRY(shape, ShapeOf(WordsOfSql(request)));
    }
    for (const char* side : {"req", "res"}) {
      for (auto card = root[side]["cards"].first(); card; card = card.next())
        SALLYPORT_CHECK(card_.Bind(card.string()).Bind(int64_t(index)).Run());
    }
    if (const auto intent = root["i"].integer())
      SALLYPORT_CHECK(FillFrom(*intent, connection, resource, trace, shape));
    entry_.Bind(int64_t(index)).Bind(entry->at).Bind(std::string_view(entry->event));
    if (root["who"]) {
      entry_.Bind(int64_t(index));
    } else if (entry->has_session) {
      entry_.Bind(int64_t(entry->session));
    } else {
      entry_.BindNull();
    }
    entry_.Bind(connection).Bind(resource).Bind(root["x"].string()).Bind(root["d"].string());
    // What an answer was withheld for is a reason like that of a refusal.
    entry_.Bind((root["why"] ? root["why"] : root["code"]).string());
    entry_.Bind(root["a"].string()).Bind(trace);
    SALLYPORT_CHECK((shape == 0 ? entry_.BindNull() : entry_.Bind(shape)).Run());
    const json::Value who = root["who"];
    if (!who) return {};
    session_.Bind(int64_t(index)).Bind(root["sid"].string()).Bind(who["sub"].string());
    return session_.Bind(who["name"].string()).Bind(who["agent"].string()).Run();
  }

 private:
  static std::optional<std::string> Owned(const json::Value& value) {
    const auto text = value.string();
    return text ? std::optional<std::string>(*text) : std::nullopt;
  }
  /// An outcome is found under the connection, resource and trace of its intent.
  Result<> FillFrom(int64_t intent, std::optional<std::string>& connection,
                    std::optional<std::string>& resource, std::optional<std::string>& trace,
                    int64_t& shape) {
    SALLYPORT_TRY(const bool row, about_.Bind(intent).Step());
    if (row) {
      if (!connection) connection = about_.Text(0);
      if (!resource) resource = about_.Text(1);
      if (!trace && !about_.Text(2).empty()) trace = about_.Text(2);
      if (shape == 0) shape = about_.Integer(3);
    }
    return about_.Run();
  }

  /// The number of a set of words; statements that differ in values only have the same. 0: none.
  Result<int64_t> ShapeOf(const std::set<std::string>& words) {
    if (words.empty()) return 0;
    std::string all;
    for (const std::string& word : words) all.append(word).append(" ");
    if (const auto known = shapes_.find(all); known != shapes_.end()) return known->second;
    SALLYPORT_CHECK(shape_.Bind(std::string_view(all)).Run());
    SALLYPORT_TRY(const bool row, shape_id_.Bind(std::string_view(all)).Step());
    const int64_t id = row ? shape_id_.Integer(0) : 0;
    SALLYPORT_CHECK(shape_id_.Run());
    for (const std::string& word : words)
      SALLYPORT_CHECK(word_.Bind(std::string_view(word)).Bind(id).Run());
    if (shapes_.size() < 10'000) shapes_.emplace(std::move(all), id);
    return id;
  }

  sqlite3* db_;
  Statement entry_, session_, about_, shape_, shape_id_, word_, card_;
  std::map<std::string, int64_t> shapes_;
};

}  // namespace

void SearchIndex::Close::operator()(sqlite3* db) const { sqlite3_close(db); }
SearchIndex::SearchIndex(sqlite3* db) : db_(db) {}
SearchIndex::SearchIndex(SearchIndex&&) noexcept = default;
SearchIndex& SearchIndex::operator=(SearchIndex&&) noexcept = default;
SearchIndex::~SearchIndex() = default;

Result<SearchIndex> SearchIndex::Open(const std::filesystem::path& data_dir) {
  const std::filesystem::path path = data_dir / "index.sqlite";
  for (int attempt = 0; attempt < 2; ++attempt) {
    // Made here and not by SQLite, which would let others read it.
    const int fd = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) break;
    ::close(fd);
    SearchIndex index(OpenDatabase(path.string()));
    if (index.db_ && index.Prepare()) return index;
    const int code = index.db_ ? sqlite3_errcode(index.db_.get()) : SQLITE_CANTOPEN;
    if (code != SQLITE_NOTADB && code != SQLITE_CORRUPT && code != SQLITE_ERROR) break;
    std::error_code ignored;  // damaged: build it anew
    std::filesystem::remove(path, ignored);
  }
  SearchIndex index(OpenDatabase(":memory:"));
  if (!index.db_) return Fail(Errc::io_failed, "search index: cannot open a database in memory");
  SALLYPORT_CHECK(index.Prepare());
  return index;
}

Result<> SearchIndex::Prepare() {
  {
    Statement version(db_.get(), "PRAGMA user_version");
    if (!version) return SqlError(db_.get());
    SALLYPORT_TRY(const bool row, version.Step());
    if (row && version.Integer(0) != kVersion) {
      SALLYPORT_CHECK(version.Run());
      SALLYPORT_CHECK(Execute(db_.get(),
                              "DROP TABLE IF EXISTS entry; DROP TABLE IF EXISTS session; "
                              "DROP TABLE IF EXISTS shape; DROP TABLE IF EXISTS word; "
                              "DROP TABLE IF EXISTS card; DROP TABLE IF EXISTS meta"));
    }
  }
  SALLYPORT_CHECK(Execute(db_.get(), kSchema));
  SALLYPORT_TRY(const std::string next, Meta(db_.get(), "next"));
  next_ = next.empty() ? 0 : std::strtoull(next.c_str(), nullptr, 10);
  return {};
}

/// The index belongs to this log if the last entry it has taken in is still the same.
Result<> SearchIndex::BindToLog(LogReader& log) {
  bool same = next_ <= log.size();
  if (same && next_ > 0) {
    SALLYPORT_TRY(const std::string recorded, Meta(db_.get(), "last"));
    SALLYPORT_TRY(const std::string entry, log.Read(next_ - 1));
    same = recorded == HexEncode(LeafHash(entry));
  }
  if (same) return {};
  next_ = 0;
  return Execute(db_.get(),
                 "DELETE FROM entry; DELETE FROM session; DELETE FROM shape; DELETE FROM word; "
                 "DELETE FROM card; DELETE FROM meta;");
}

Result<> SearchIndex::Update(LogReader& log) {
  SALLYPORT_CHECK(BindToLog(log));
  Inserter inserter(db_.get());
  while (next_ < log.size()) {
    const uint64_t end = std::min(log.size(), next_ + kBatch);
    SALLYPORT_CHECK(Execute(db_.get(), "BEGIN IMMEDIATE"));
    Hash last{};
    Result<> added =
        log.ForEach(next_, end, [&](uint64_t i, std::string_view entry) -> Result<bool> {
          SALLYPORT_CHECK(inserter.Add(i, entry));
          if (i + 1 == end) last = LeafHash(entry);
          return true;
        });
    if (added) added = SetMeta(db_.get(), "next", std::to_string(end));
    if (added) added = SetMeta(db_.get(), "last", HexEncode(last));
    if (!added) {
      (void)Execute(db_.get(), "ROLLBACK");
      return added;
    }
    SALLYPORT_CHECK(Execute(db_.get(), "COMMIT"));
    next_ = end;
  }
  return {};
}

namespace {

/// Conditions of a search, and what is bound to ?2, ?3, …; ?1 is the first index.
std::string Where(const SearchCriteria& c, std::vector<std::string>& texts) {
  std::string sql = " FROM entry e WHERE e.idx >= ?1";
  const auto add = [&](const std::string& value, const char* condition) {
    if (value.empty()) return;
    texts.push_back(value);
    std::string part = condition;
    const std::string parameter = "?" + std::to_string(texts.size() + 1);
    for (size_t at; (at = part.find('$')) != std::string::npos;) part.replace(at, 1, parameter);
    sql += " AND " + part;
  };
  // From the few sessions to their entries, not through all entries.
  add(c.person,
      "e.session IN (SELECT idx FROM session WHERE subject = $ UNION SELECT idx FROM session WHERE "
      "name = $)");
  add(c.agent, "e.session IN (SELECT idx FROM session WHERE agent = $)");
  add(c.connection, "e.connection = $");
  add(c.tool, "e.resource = $");
  add(c.card, "e.idx IN (SELECT idx FROM card WHERE token = $)");
  for (const std::string& word : WordsOfName(c.table)) {
    add(word,
        "e.shape IN (SELECT shape FROM word WHERE word = $ UNION SELECT shape FROM word WHERE "
        "word = '?')");
  }
  add(c.decision, "(e.verdict = $ OR e.decision = $ OR e.reason = $ OR e.approval = $)");
  // What became of the requests for approval of a session belongs to it, whoever did it.
  constexpr const char* kOfSession =
      "e.idx IN (SELECT idx FROM entry WHERE session IN (SELECT idx FROM session WHERE sid = $) "
      "UNION SELECT idx FROM entry WHERE approval IN (SELECT approval FROM entry WHERE approval "
      "IS NOT NULL AND session IN (SELECT idx FROM session WHERE sid = $)))";
  // With what it caused, and what caused it: the same trace in any session.
  static const std::string kWithCaused =
      "(" + std::string(kOfSession) +
      " OR e.trace IN (SELECT trace FROM entry WHERE trace IS NOT NULL AND session IN (SELECT idx "
      "FROM session WHERE sid = $)))";
  add(c.session, c.with_caused ? kWithCaused.c_str() : kOfSession);
  add(c.trace, "e.trace = $");
  add(c.event, c.event.ends_with('.') ? "substr(e.event, 1, length($)) = $" : "e.event = $");
  if (c.from > 0) sql += " AND e.at >= " + std::to_string(c.from);
  if (c.to > 0) sql += " AND e.at < " + std::to_string(c.to);
  return sql;
}

}  // namespace

Result<uint64_t> SearchIndex::Count(const SearchCriteria& c) {
  std::vector<std::string> texts;
  Statement query(db_.get(), "SELECT count(*)" + Where(c, texts));
  if (!query) return SqlError(db_.get());
  query.Bind(int64_t(std::min<uint64_t>(c.first, INT64_MAX)));
  for (const std::string& text : texts) query.Bind(std::string_view(text));
  SALLYPORT_CHECK(query.Step());
  return uint64_t(query.Integer(0));
}

Result<std::vector<uint64_t>> SearchIndex::Find(const SearchCriteria& c) {
  std::vector<std::string> texts;
  const std::string sql = "SELECT e.idx" + Where(c, texts) + " ORDER BY e.idx DESC LIMIT " +
                          std::to_string(std::min<uint64_t>(c.limit, INT64_MAX));
  Statement query(db_.get(), sql);
  if (!query) return SqlError(db_.get());
  query.Bind(int64_t(std::min<uint64_t>(c.first, INT64_MAX)));
  for (const std::string& text : texts) query.Bind(std::string_view(text));
  std::vector<uint64_t> found;
  for (;;) {
    SALLYPORT_TRY(const bool row, query.Step());
    if (!row) break;
    found.push_back(uint64_t(query.Integer(0)));
  }
  std::reverse(found.begin(), found.end());
  return found;
}

}  // namespace sallyport::ledger
