#pragma once

#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

#include "base/result.h"

struct sqlite3;

namespace sallyport::app {

/// Synthetic orders in an in-memory SQLite table `orders(id, customer, card_number, cvv, amount,
/// currency, created_at)`. Every card number is a published test number or a number of a test
/// range; the same seed gives the same rows. One thread at a time.
class DemoOrders {
 public:
  static Result<std::unique_ptr<DemoOrders>> Make(int rows = 2000);
  ~DemoOrders();
  DemoOrders(const DemoOrders&) = delete;

  /// Rows as JSON objects, at most `limit`. The error's detail is SQLite's message.
  Result<nlohmann::json> Query(std::string_view sql, size_t limit = 200) const;
  /// The same with one text parameter.
  Result<nlohmann::json> QueryOne(std::string_view sql, std::string_view parameter,
                                  size_t limit) const;

 private:
  DemoOrders() = default;
  sqlite3* db_ = nullptr;
};

}  // namespace sallyport::app
