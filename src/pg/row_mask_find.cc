// What has to be changed in many rows at once.
#include <algorithm>
#include <cstring>
#include <vector>

#include "mask/cell_scan.h"
#include "mask/digit_run.h"
#include "mask/impl.h"
#include "pg/frame.h"
#include "pg/row_mask.h"
#include "pg/row_mask_binary.h"

namespace sallyport::pg {
namespace {

constexpr uint32_t kNullCell = 0xffffffff;

std::unexpected<Error> BadRow() {
  return Fail(Errc::upstream_protocol, "a row does not fit its description");
}

}  // namespace

bool DigitChain::IsPiece(std::string_view value) {
  return !value.empty() && value.size() < 19 &&
         std::ranges::all_of(value, [](char c) { return c >= '0' && c <= '9'; });
}

void DigitChain::Add(std::string_view piece) {
  if (size_ + piece.size() <= digits_.size())
    std::memcpy(digits_.data() + size_, piece.data(), piece.size());
  size_ += piece.size();
  ++pieces_;
}

bool DigitChain::Close(const mask::Masker& masker) {
  const size_t size = std::exchange(size_, 0), pieces = std::exchange(pieces_, 0);
  if (pieces < 2 || size < 13 || size > digits_.size()) return false;
  const std::string_view digits(digits_.data(), size);
  std::vector<mask::Region> at;
  mask::Regions regions(0, size, at);
  mask::LookAtRun(digits, 0, 0, size, regions);
  if (regions.Empty()) return false;
  std::vector<mask::Finding> findings;
  masker.FindText(digits, {}, findings);
  return !findings.empty();
}

/// One look at a run of rows. First all lengths are read, what is masked for its origin is
/// rendered, and the cells that have to be judged are noted by where they stand; then those are
/// judged.
class RowMask::Finder {
 public:
  Finder(const RowMask& mask, std::string_view rows, RowEdits& edits, RowTally& tally)
      : mask_(mask), rows_(rows), edits_(edits), tally_(tally) {}

  Result<> Run() {
    thread_local Scratch scratch;
    s_ = &scratch;
    s_->rows.clear();
    s_->cells.clear();
    s_->texts.Clear();
    edits_.Clear();
    patterns_ = !mask_.masker_->impl().regexes.empty();
    for (size_t at = 0; at < rows_.size();) {
      const size_t end = at + Load32(rows_.data() + at + 1) + 1;
      if (!ReadRow(at, end)) return BadRow();
      at = end;
    }
    s_->texts.Finish();
    InOrder();
    JudgeAll(edits_.edits_.size());
    InOrder();
    return {};
  }

 private:
  struct Scratch {
    std::vector<uint32_t> rows;   // where they begin
    std::vector<uint32_t> cells;  // to be judged: where their lengths stand
    mask::CellScan texts;
  };

  bool ReadRow(size_t row, size_t end) {
    const char* const data = rows_.data();
    if (end > rows_.size() || end < row + 7 || Load16(data + row + 5) != mask_.cells_.size())
      return false;
    s_->rows.push_back(uint32_t(row));
    size_t at = row + 7;
    for (size_t i = 0; i < mask_.cells_.size(); ++i) {
      if (at + 4 > end) return false;
      const uint32_t n = Load32(data + at);
      if (n == kNullCell) {
        if (mask_.joins_) Piece(row, at, i, {}, false);
        at += 4;
        continue;
      }
      if (n > end - at - 4) return false;
      LookAt(row, at, i, {data + at + 4, n});
      at += 4 + n;
    }
    if (mask_.joins_) CloseChain(row);
    return at == end;
  }

  void LookAt(size_t row, size_t at, size_t i, std::string_view value) {
    const Rule& rule = mask_.cells_[i];
    switch (rule.look) {
      case Look::skip:
        break;
      case Look::text:
        if (patterns_)
          s_->cells.push_back(uint32_t(at));
        else if (value.size() >= 3)
          s_->texts.Add(value, uint32_t(at));
        break;
      case Look::digits:
        if (patterns_ || HasManyDigits(value)) s_->cells.push_back(uint32_t(at));
        break;
      case Look::number:
        if (BinaryNumberMayBeCard(rule.type, value)) s_->cells.push_back(uint32_t(at));
        break;
      case Look::always:
        s_->cells.push_back(uint32_t(at));
        break;
      case Look::origin:
        Judge(row, at, i, value);
        break;
    }
    if (mask_.joins_) Piece(row, at, i, value, rule.joins);
  }

  void Piece(size_t row, size_t at, size_t, std::string_view value, bool joins) {
    if (!joins || !DigitChain::IsPiece(value)) return CloseChain(row);
    if (chain_.pieces() == 0) chain_begin_ = at;
    chain_.Add(value);
  }

  void CloseChain(size_t row) {
    const size_t pieces = chain_.pieces();
    if (pieces == 0 || !chain_.Close(*mask_.masker_)) return;
    joined_ = true;
    size_t at = row + 7, i = 0;  // the column of the first
    for (; at != chain_begin_; ++i) {
      const uint32_t n = Load32(rows_.data() + at);
      at += n == kNullCell ? 4 : 4 + n;
    }
    for (size_t k = 0; k < pieces; ++k) {
      const uint32_t n = Load32(rows_.data() + at);
      edits_.edits_.push_back({uint32_t(row), uint32_t(at), n, uint32_t(edits_.text_.size()), n});
      edits_.text_.append(n, '*');
      tally_.Add(i + k, mask::DetectorKind::pan);
      at += 4 + n;
    }
  }

  void InOrder() {
    if (!std::ranges::is_sorted(edits_.edits_, {}, &RowEdits::Edit::at))
      std::ranges::sort(edits_.edits_, {}, &RowEdits::Edit::at);
  }

  void Judge(size_t row, size_t at, size_t i, std::string_view value) {
    std::string& text = edits_.text_;
    const size_t from = text.size();
    bool null = false;
    if (!mask_.Cell(i, value, text, null, tally_)) return text.resize(from);
    const auto size = null ? RowEdits::kNull : uint32_t(text.size() - from);
    edits_.edits_.push_back(
        {uint32_t(row), uint32_t(at), uint32_t(value.size()), uint32_t(from), size});
  }

  /// Those that were noted, in their order; the first `ready` edits are made.
  void JudgeAll(size_t ready) {
    std::vector<uint32_t>& cells = s_->cells;
    cells.insert(cells.end(), s_->texts.hits().begin(), s_->texts.hits().end());
    if (cells.empty()) return;
    if (!std::ranges::is_sorted(cells)) std::ranges::sort(cells);
    size_t next = 0, row = 0, at = 0, i = 0;
    for (const uint32_t cell : cells) {
      if (joined_ && IsMade(cell, ready)) continue;
      if (next == 0 || (next < s_->rows.size() && s_->rows[next] <= cell)) {
        next = size_t(std::ranges::upper_bound(s_->rows, cell) - s_->rows.begin());
        row = s_->rows[next - 1];
        at = row + 7, i = 0;
      }
      uint32_t n = Load32(rows_.data() + at);
      for (; at != cell; ++i) {
        at += n == kNullCell ? 4 : 4 + n;
        n = Load32(rows_.data() + at);
      }
      Judge(row, at, i, rows_.substr(at + 4, n));
    }
  }
  bool IsMade(uint32_t cell, size_t ready) const {
    const auto made = std::span(edits_.edits_).first(ready);
    const auto at = std::ranges::lower_bound(made, cell, {}, &RowEdits::Edit::at);
    return at != made.end() && at->at == cell;
  }

  const RowMask& mask_;
  std::string_view rows_;
  RowEdits& edits_;
  RowTally& tally_;
  Scratch* s_ = nullptr;
  DigitChain chain_;
  size_t chain_begin_ = 0;
  bool patterns_ = false, joined_ = false;
};

Result<> RowMask::Find(std::string_view rows, RowEdits& edits, RowTally& tally) const {
  edits.Clear();
  if (passes_) return {};
  return Finder(*this, rows, edits, tally).Run();
}

void RowEdits::Apply(std::string_view rows, std::string& out) const {
  const size_t start = out.size();
  const bool same =
      std::ranges::all_of(edits_, [](const Edit& e) { return e.size == e.text_size; });
  if (same) {  // as it is mostly: nothing moves
    out.append(rows);
    for (const Edit& e : edits_)
      std::memcpy(out.data() + start + e.at + 4, text_.data() + e.text, e.size);
    return;
  }
  size_t done = 0;
  for (size_t k = 0; k < edits_.size();) {
    const size_t row = edits_[k].row;
    out.append(rows.substr(done, row - done));
    const size_t begin = out.size();
    done = row;
    for (; k < edits_.size() && edits_[k].row == row; ++k) {
      const Edit& e = edits_[k];
      out.append(rows.substr(done, e.at - done));
      const size_t head = out.size();
      out.append(4, '\0');
      Store32(out.data() + head, e.text_size);
      if (e.text_size != kNull) out.append(text_, e.text, e.text_size);
      done = e.at + 4 + e.size;
    }
    const size_t end = row + Load32(rows.data() + row + 1) + 1;
    out.append(rows.substr(done, end - done));
    done = end;
    Store32(out.data() + begin + 1, uint32_t(out.size() - begin - 1));
  }
  out.append(rows.substr(done));
}

}  // namespace sallyport::pg
