#include "pg/result.h"

#include "json/document.h"
#include "pg/frame.h"
#include "pg/to_operation.h"

namespace sallyport::pg {
namespace {

constexpr size_t kCellBytes = 512;   // recorded of one cell where it stands in the entry
constexpr size_t kNameBytes = 4096;  // of all column names
constexpr size_t kEntryBytes = 64 << 10;

/// A recording beside the log has whole cells: one that does not fit ends it, and it says so.
size_t CellBytes(size_t limit) { return limit > kEntryBytes ? limit + 1 : kCellBytes; }

}  // namespace

void ResultRecord::Begin(ShapePtr shape, size_t limit) {
  shape_ = std::move(shape);
  limit_ = limit;
  full_ = any_ = false;
  data_.clear();
}

void ResultRecord::Rows(std::string_view rows) {
  for (size_t at = 0; at < rows.size() && wants_rows();) {
    const size_t total = size_t{Load32(rows.data() + at + 1)} + 1;
    BodyReader r(rows.substr(at + 5, total - 5));
    const size_t before = data_.size();
    data_ += any_ ? ",[" : "[";
    const uint16_t cells = r.U16();
    for (uint16_t i = 0; i < cells && !r.failed(); ++i) {
      if (i > 0) data_ += ',';
      const uint32_t n = r.U32();
      if (n == 0xffffffff) {
        data_ += "null";
        continue;
      }
      const std::string_view value = r.Bytes(n);
      const bool known = i < shape_->columns.size();
      AppendValue(data_, value, known && shape_->columns[i].binary,
                  known ? shape_->columns[i].type : 0, CellBytes(limit_));
    }
    data_ += ']';
    any_ = true;
    if (data_.size() > limit_) {
      data_.resize(before);
      full_ = true;
    }
    at += total;
  }
}

void ResultRecord::Text(std::string_view line) {
  if (full_ || data_.size() + line.size() > limit_) {
    full_ = true;
    return;
  }
  if (any_) data_ += ',';
  any_ = true;
  while (line.ends_with('\n') || line.ends_with('\r')) line.remove_suffix(1);
  AppendValue(data_, line, false, 0, CellBytes(limit_));
}

std::string_view ResultRecord::Finish(std::string_view tag, uint64_t rows, uint64_t bytes,
                                      std::string_view message) {
  json_ = '{';
  if (!tag.empty()) json::AppendString(json_.append("\"tag\":"), tag);
  if (!message.empty()) {
    if (json_.size() > 1) json_ += ',';
    AppendValue(json_.append("\"message\":"), message, false, 0, kCellBytes);
  }
  if (json_.size() > 1) json_ += ',';
  json_.append("\"rows\":").append(std::to_string(rows));
  json_.append(",\"bytes\":").append(std::to_string(bytes));
  if (any_) {
    if (shape_ != nullptr && !shape_->columns.empty()) {
      json_.append(",\"columns\":[");
      const size_t from = json_.size();
      for (size_t i = 0; i < shape_->columns.size() && json_.size() - from < kNameBytes; ++i) {
        if (i > 0) json_ += ',';
        AppendValue(json_, shape_->columns[i].name, false, 0, 64);
      }
      json_ += ']';
    }
    json_.append(",\"data\":[").append(data_) += ']';
  }
  if (full_) json_.append(",\"cut\":true");
  json_ += '}';
  return json_;
}

void ResultState::Reset() {
  shape.reset();
  mask.reset();
  if (!tally.empty()) tally = RowTally(), mapped.clear();
  rows = bytes = max_rows = before = 0;
  copy_out = copy_binary = copy_in = false;
  completed = 0;
  condemned.reset();
  record.Begin(nullptr, 0);
}

}  // namespace sallyport::pg
