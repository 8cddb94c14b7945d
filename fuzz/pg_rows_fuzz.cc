// Rows and COPY data that the server sends: random columns, text and binary, and random cells. What
// comes out is rows again, of the same columns; a cell is what it gives on its own, and so is every
// other byte as it came; a second look finds nothing; and it does not matter how the rows are cut.
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "mask/masker.h"
#include "pg/copy_mask.h"
#include "pg/frame.h"
#include "pg/row_mask.h"

using namespace sallyport;
using namespace sallyport::pg;

namespace {

void Require(bool good) {
  if (!good) std::abort();
}

const std::shared_ptr<const mask::Masker>& TestMasker() {
  static const auto masker = [] {
    const std::vector<mask::DetectorSpec> specs{{.name = "pan", .kind = mask::DetectorKind::pan},
                                                {.name = "sad", .kind = mask::DetectorKind::sad}};
    return mask::Masker::Make(specs, Secret(std::string(32, 'k'))).value();
  }();
  return masker;
}

const sql::Catalog& TestCatalog() {
  static const sql::Catalog catalog = [] {
    sql::CatalogRelation cards{.oid = 5000, .schema = "public", .name = "cards"};
    cards.columns = {
        {.name = "pan", .number = 1, .type = 25, .mask = sql::SourceMask::last4},
        {.name = "cvv", .number = 2, .type = 25, .mask = sql::SourceMask::null},
        {.name = "bin", .number = 3, .type = 25, .mask = sql::SourceMask::first6_last4}};
    cards.classified = true;
    sql::Catalog::Content content;
    content.relations = {cards};
    return sql::Catalog(std::move(content));
  }();
  return catalog;
}

/// Takes the input apart; zeros and empty texts behind its end.
class Input {
 public:
  Input(const uint8_t* data, size_t size) : reader_({reinterpret_cast<const char*>(data), size}) {}
  uint8_t Byte() { return reader_.rest().empty() ? 0 : reader_.U8(); }
  std::string_view Bytes(size_t n) { return reader_.Bytes(std::min(n, reader_.rest().size())); }
  bool empty() const { return reader_.rest().empty(); }

 private:
  BodyReader reader_;
};

using Cells = std::vector<std::optional<std::string>>;

void Append(const Cells& cells, std::string& out) {
  MessageWriter w(out);
  w.Begin('D').U16(static_cast<uint16_t>(cells.size()));
  for (const auto& cell : cells) {
    if (cell)
      w.U32(static_cast<uint32_t>(cell->size())).Bytes(*cell);
    else
      w.U32(0xffffffff);
  }
  w.End();
}

/// The rows of whole messages, nothing behind them.
std::vector<Cells> Parse(std::string_view rows, size_t columns) {
  std::vector<Cells> parsed;
  while (!rows.empty()) {
    const auto head = PeekHead(rows);
    Require(head && head->type == 'D' && head->length >= 6 && head->total() <= rows.size());
    BodyReader r(rows.substr(FrameHead::kSize, head->body()));
    Require(r.U16() == columns);
    Cells cells(columns);
    for (auto& cell : cells) {
      const uint32_t n = r.U32();
      if (n != 0xffffffff) cell = std::string(r.Bytes(n));
    }
    Require(r.done());
    parsed.push_back(std::move(cells));
    rows.remove_prefix(head->total());
  }
  return parsed;
}

std::string Through(const RowMask& mask, std::string_view rows) {
  RowEdits edits;
  RowTally tally;
  Require(mask.Find(rows, edits, tally).has_value());
  Require(edits.empty() == tally.empty());
  if (edits.empty()) return std::string(rows);
  std::string out;
  edits.Apply(rows, out);
  return out;
}

/// Cells `from` and on that hold digits only and may be one number together; where they end.
size_t Together(const RowMask& mask, const Cells& cells, size_t from, bool& number) {
  std::string digits;
  size_t end = from;
  while (end < cells.size() && mask.Joins(end) && cells[end] && DigitChain::IsPiece(*cells[end]))
    digits += *cells[end++];
  std::vector<mask::Finding> findings;
  if (end - from > 1 && digits.size() >= 13 && digits.size() <= 19)
    mask.masker().FindText(digits, {}, findings);
  number = !findings.empty();
  return end;
}

/// The row cell by cell, as it must come out.
Cells OneByOne(const RowMask& mask, const Cells& cells) {
  Cells out = cells;
  size_t joined = 0;
  for (size_t i = 0; i < cells.size(); ++i) {
    if (i >= joined) {
      bool number = false;
      const size_t end = Together(mask, cells, i, number);
      joined = std::max(end, i + 1);
      for (size_t k = i; number && k < end; ++k) out[k] = std::string(cells[k]->size(), '*');
      if (number) {
        i = end - 1;
        continue;
      }
    }
    if (!cells[i]) continue;
    std::string text;
    bool null = false;
    RowTally tally;
    if (mask.Cell(i, *cells[i], text, null, tally))
      out[i] = null ? std::nullopt : std::optional(text);
  }
  return out;
}

Shape ReadShape(Input& in) {
  static constexpr uint32_t kTypes[] = {25,   1043, 20,   1700, 23,    701,  17,  3802,
                                        1016, 1009, 2249, 3926, 90001, 1184, 790, 114};
  static const char* const kNames[] = {"note", "card_number", "cvv", "order_id", "isbn", "x"};
  Shape shape;
  for (size_t n = 1 + in.Byte() % 6; n > 0; --n) {
    const uint8_t kind = in.Byte(), from = in.Byte();
    ResultColumn column;
    column.name = kNames[(from >> 4) % 6];
    column.type = (kind & 0x20) != 0 ? 25 : kTypes[kind % 16];
    column.binary = (kind & 0x40) != 0;
    column.relation = (from & 3) == 0 ? 0 : (from & 3) == 1 ? 5000 : 5001;
    column.attribute = static_cast<int16_t>(1 + (from >> 2) % 4);
    shape.columns.push_back(std::move(column));
  }
  return shape;
}

void Rows(Input& in) {
  const Shape shape = ReadShape(in);
  sql::Analysis analysis;
  analysis.returns_rows = true;
  analysis.route = sql::Route::as_is;
  const auto made = RowMask::Make(shape, analysis, &TestCatalog(), TestMasker());
  Require(made.has_value());
  const RowMask& mask = **made;
  std::string rows, cut_in_two;
  std::vector<Cells> all;
  std::vector<size_t> ends;
  while (!in.empty() && all.size() < 64) {
    Cells cells(shape.columns.size());
    for (auto& cell : cells) {
      const uint8_t n = in.Byte();
      if (n == 0xff) continue;
      cell = std::string(in.Bytes(n));
    }
    Append(cells, rows);
    ends.push_back(rows.size());
    all.push_back(std::move(cells));
  }
  const std::string masked = Through(mask, rows);
  const std::vector<Cells> got = Parse(masked, shape.columns.size());
  Require(got.size() == all.size());
  size_t begin = 0;
  for (size_t i = 0; i < all.size(); ++i) {
    const Cells want = mask.passes() ? all[i] : OneByOne(mask, all[i]);
    Require(got[i] == want);
    cut_in_two += Through(mask, std::string_view(rows).substr(begin, ends[i] - begin));
    begin = ends[i];
    for (size_t k = 0; k < want.size(); ++k) {
      const ResultColumn& column = shape.columns[k];
      if (!got[i][k] || column.binary || (column.type != 25 && column.type != 1043)) continue;
      // What a cell of text holds after masking is no card number, whoever looks.
      const mask::Context context{.hint = column.name};
      std::vector<mask::Finding> findings;
      mask.masker().FindText(*got[i][k], context, findings);
      for (const mask::Finding& f : findings) Require(f.kind != mask::DetectorKind::pan);
    }
  }
  Require(cut_in_two == masked);
}

/// A text that streams keeps its length and does not depend on where it is cut.
void LongTexts(Input& in) {
  const size_t step = 1 + in.Byte(), repeat = in.Byte() % 4 == 0 ? 76'000 : 1;
  const std::string_view piece = in.Bytes(4096);
  if (piece.empty()) return;
  std::string text;
  do {
    text += piece;
    if (repeat > 1) text.append(15'001, 'x');
  } while (text.size() < repeat);
  const auto masked = [&](size_t n) {
    LongMask mask(TestMasker(), RowMask::Long::scan);
    std::string out;
    for (size_t at = 0; at < text.size(); at += n)
      mask.Feed(std::string_view(text).substr(at, n), out);
    mask.Finish(out);
    return out;
  };
  const std::string whole = masked(text.size());
  Require(whole.size() == text.size());
  Require(masked(step * 37) == whole);
}

/// COPY (FORMAT binary), in one message and in pieces.
void BinaryCopy(Input& in) {
  const size_t step = 1 + in.Byte();
  const bool header = (in.Byte() & 1) != 0;
  std::string body;
  if (header) body.append("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19);
  const std::string_view raw = in.Bytes(1 + in.Byte() * 4);
  MessageWriter w(body);
  if ((step & 1) != 0) {
    body.append(raw);  // as it comes
  } else {
    for (size_t rows = 1 + in.Byte() % 4; rows > 0; --rows) {
      const uint16_t fields = in.Byte() % 5;
      w.U16(fields);
      for (uint16_t i = 0; i < fields; ++i) {
        const uint8_t n = in.Byte();
        if (n == 0xff) {
          w.U32(0xffffffff);
        } else {
          const std::string_view field = in.Bytes(n);
          w.U32(static_cast<uint32_t>(field.size())).Bytes(field);
        }
      }
    }
  }
  const auto in_pieces = [&](size_t n, std::string& out) {
    LongBinaryCopy copy(TestMasker());
    for (size_t at = 0; at < body.size(); at += n) {
      if (!copy.Feed(std::string_view(body).substr(at, n), out)) return false;
    }
    return copy.Finish();
  };
  std::string once, cut, masked;
  const bool good = in_pieces(body.size() + 1, once);
  Require(in_pieces(step, cut) == good);
  if (body.size() < 11) return;  // no message that streams is that short
  Require(good == IsBinaryCopy(body));
  if (!good) return;
  Require(cut == once && once.size() == body.size());
  RowTally tally;
  const bool changed = MaskBinaryCopy(*TestMasker(), body, masked, tally);
  Require(changed == (once != body) || changed);
  if (changed) Require(IsBinaryCopy(masked));
  if (!changed) Require(once == body);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 4 || size > 16'384) return 0;
  Input in(data, size);
  const uint8_t kind = in.Byte();
  if (kind == 0)
    LongTexts(in);  // slow: seldom
  else if (kind % 4 == 0)
    BinaryCopy(in);
  else
    Rows(in);
  return 0;
}
