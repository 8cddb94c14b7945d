#include "app/demo_orders.h"

#include <array>
#include <cstdio>
#include <random>
#include <sqlite3.h>

namespace sallyport::app {
namespace {

constexpr std::array kTestNumbers{"4111111111111111", "5555555555554444", "378282246310005",
                                  "6011111111111117", "4012888888881881", "3530111333300000",
                                  "2223003122003222", "30569309025904"};

std::string OrderId(uint32_t n) {
  char text[16];
  std::snprintf(text, sizeof text, "o_%08x", n);
  return text;
}

struct Finalizer {
  void operator()(sqlite3_stmt* s) const { sqlite3_finalize(s); }
};
using Statement = std::unique_ptr<sqlite3_stmt, Finalizer>;

Result<Statement> Prepare(sqlite3* db, std::string_view sql) {
  sqlite3_stmt* raw = nullptr;
  if (sqlite3_prepare_v2(db, sql.data(), static_cast<int>(sql.size()), &raw, nullptr) !=
          SQLITE_OK ||
      raw == nullptr) {
    return Fail(Errc::request_malformed, sqlite3_errmsg(db));
  }
  return Statement(raw);
}

nlohmann::json Cell(sqlite3_stmt* s, int column) {
  switch (sqlite3_column_type(s, column)) {
    case SQLITE_INTEGER:
      return sqlite3_column_int64(s, column);
    case SQLITE_FLOAT:
      return sqlite3_column_double(s, column);
    case SQLITE_NULL:
      return nullptr;
    default:
      return reinterpret_cast<const char*>(sqlite3_column_text(s, column));
  }
}

Result<nlohmann::json> Rows(sqlite3* db, sqlite3_stmt* s, size_t limit) {
  nlohmann::json rows = nlohmann::json::array();
  for (;;) {
    const int step = sqlite3_step(s);
    if (step == SQLITE_DONE) return rows;
    if (step != SQLITE_ROW) return Fail(Errc::request_malformed, sqlite3_errmsg(db));
    if (rows.size() == limit) return rows;
    nlohmann::json row = nlohmann::json::object();
    for (int i = 0; i < sqlite3_column_count(s); ++i) row[sqlite3_column_name(s, i)] = Cell(s, i);
    rows.push_back(std::move(row));
  }
}

}  // namespace

Result<std::unique_ptr<DemoOrders>> DemoOrders::Make(int rows) {
  std::unique_ptr<DemoOrders> self(new DemoOrders);
  if (sqlite3_open(":memory:", &self->db_) != SQLITE_OK)
    return Fail(Errc::internal, "cannot open a database in memory");
  sqlite3_exec(self->db_,
               "create table orders(id text primary key, customer text, card_number text, cvv "
               "text, amount real,"
               " currency text, created_at text); begin",
               nullptr, nullptr, nullptr);
  SALLYPORT_TRY(const Statement insert,
                Prepare(self->db_, "insert into orders values(?,?,?,?,?,?,?)"));
  std::mt19937 random(20261121);
  for (int i = 0; i < rows; ++i) {
    const std::string id = OrderId(i == 0 ? 0x1a2b3c4d : static_cast<uint32_t>(random()));
    char customer[24], cvv[8], day[16];
    std::snprintf(customer, sizeof customer, "customer-%04d", i);
    std::snprintf(cvv, sizeof cvv, "%03u", static_cast<unsigned>(random() % 1000));
    std::snprintf(day, sizeof day, "2026-%02u-%02u", static_cast<unsigned>(random() % 12 + 1),
                  static_cast<unsigned>(random() % 28 + 1));
    sqlite3_reset(insert.get());
    sqlite3_bind_text(insert.get(), 1, id.c_str(), -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(insert.get(), 2, customer, -1, SQLITE_TRANSIENT);
    sqlite3_bind_text(insert.get(), 3, kTestNumbers[static_cast<size_t>(i) % kTestNumbers.size()],
                      -1, SQLITE_STATIC);
    sqlite3_bind_text(insert.get(), 4, cvv, -1, SQLITE_TRANSIENT);
    sqlite3_bind_double(insert.get(), 5, static_cast<double>(random() % 50'000) / 100.0);
    sqlite3_bind_text(insert.get(), 6, random() % 3 == 0 ? "USD" : "EUR", -1, SQLITE_STATIC);
    sqlite3_bind_text(insert.get(), 7, day, -1, SQLITE_TRANSIENT);
    if (sqlite3_step(insert.get()) != SQLITE_DONE)
      return Fail(Errc::internal, sqlite3_errmsg(self->db_));
  }
  sqlite3_exec(self->db_, "commit", nullptr, nullptr, nullptr);
  return self;
}

DemoOrders::~DemoOrders() { sqlite3_close(db_); }

Result<nlohmann::json> DemoOrders::Query(std::string_view sql, size_t limit) const {
  // The grammar that judges the statement is PostgreSQL's: the one schema-qualified name of this
  // table is known.
  std::string text(sql);
  for (size_t at; (at = text.find("public.orders")) != std::string::npos;) text.erase(at, 7);
  SALLYPORT_TRY(const Statement statement, Prepare(db_, text));
  return Rows(db_, statement.get(), limit);
}

Result<nlohmann::json> DemoOrders::QueryOne(std::string_view sql, std::string_view parameter,
                                            size_t limit) const {
  SALLYPORT_TRY(const Statement statement, Prepare(db_, sql));
  sqlite3_bind_text(statement.get(), 1, parameter.data(), static_cast<int>(parameter.size()),
                    SQLITE_TRANSIENT);
  return Rows(db_, statement.get(), limit);
}

}  // namespace sallyport::app
