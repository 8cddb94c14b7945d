#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "pg/row_mask.h"
#include "pg/to_wire.h"

namespace sallyport::pg {

/// What of a result goes into the log: {"tag":…,"rows":…,"bytes":…,"columns":[…],"data":[[…]]},
/// rows as they were released. Buffers are kept between results.
class ResultRecord {
 public:
  void Begin(ShapePtr shape, size_t limit);
  bool wants_rows() const { return shape_ != nullptr && !full_; }
  /// Whole DataRow messages, after masking.
  void Rows(std::string_view rows);
  void Text(std::string_view line);  // of COPY OUT
  /// The JSON; valid until the next call. `message` is an error's text, already masked.
  std::string_view Finish(std::string_view tag, uint64_t rows, uint64_t bytes,
                          std::string_view message);

 private:
  ShapePtr shape_;
  size_t limit_ = 0;
  bool full_ = false, any_ = false;
  std::string data_, json_;
};

/// The answer that is being relayed.
struct ResultState {
  ShapePtr shape;
  std::shared_ptr<const RowMask> mask;
  RowTally tally;
  std::vector<uint32_t> mapped;  // of the tally's card numbers, per column: the map has them
  uint64_t rows = 0, bytes = 0;
  uint64_t max_rows = 0;  // 0: any number
  uint64_t before = 0;    // rows that the same portal or cursor has given already
  bool copy_out = false, copy_binary = false, copy_in = false;
  size_t completed = 0;            // CommandComplete messages of a simple query
  std::optional<Error> condemned;  // nothing of it is released any more
  ResultRecord record;

  bool TooMany(uint64_t more) const { return max_rows > 0 && before + rows + more > max_rows; }
  void Reset();
};

}  // namespace sallyport::pg
