// Rows looked at together give what their cells give one by one.
#include <gtest/gtest.h>
#include <random>

#include "pg/frame.h"
#include "pg/row_mask.h"

namespace sallyport::pg {
namespace {

using Cells = std::vector<std::optional<std::string>>;

struct Column {
  std::string name;
  uint32_t type = 25;
  uint32_t relation = 0;
  int16_t attribute = 0;
  bool binary = false;
};

std::string RowOf(const Cells& cells) {
  std::string out;
  MessageWriter w(out);
  w.Begin('D').U16(static_cast<uint16_t>(cells.size()));
  for (const auto& cell : cells) {
    if (cell)
      w.U32(static_cast<uint32_t>(cell->size())).Bytes(*cell);
    else
      w.U32(0xffffffff);
  }
  w.End();
  return out;
}

class RowMaskFindTest : public testing::Test {
 protected:
  RowMaskFindTest() : rng_(21) {
    const std::vector<mask::DetectorSpec> specs{{.name = "pan", .kind = mask::DetectorKind::pan},
                                                {.name = "sad", .kind = mask::DetectorKind::sad}};
    masker_ = mask::Masker::Make(specs, Secret(std::string(32, 'k'))).value();
    sql::CatalogRelation cards{.oid = 5000, .schema = "public", .name = "cards"};
    cards.columns = {{.name = "pan", .number = 1, .type = 25, .mask = sql::SourceMask::last4},
                     {.name = "cvv", .number = 2, .type = 25, .mask = sql::SourceMask::null}};
    cards.classified = true;
    sql::Catalog::Content content;
    content.relations = {cards};
    catalog_ = std::make_unique<sql::Catalog>(std::move(content));
  }

  std::shared_ptr<const RowMask> Make(const std::vector<Column>& columns) {
    Shape shape;
    for (const Column& c : columns)
      shape.columns.push_back({.name = c.name,
                               .relation = c.relation,
                               .attribute = c.attribute,
                               .type = c.type,
                               .binary = c.binary});
    sql::Analysis analysis;
    analysis.returns_rows = true;
    analysis.route = sql::Route::as_is;
    return RowMask::Make(shape, analysis, catalog_.get(), masker_).value();
  }

  uint32_t Below(uint32_t n) { return static_cast<uint32_t>(rng_() % n); }
  std::string Of(std::string_view set, size_t n) {
    std::string s;
    while (s.size() < n) s += set[Below(static_cast<uint32_t>(set.size()))];
    return s;
  }
  std::string Text() {
    switch (Below(11)) {
      case 0:
        return Of("0123456789abcdef", 32);
      case 1:
        return "customer " + Of("0123456789", 6);
      case 2:
        return "paid by 4111-1111-1111-1111 today";
      case 3:
        return "45395779";
      case 4:
        return "86432614";
      case 5:
        return "cvv 123";
      case 6:
        return Of("0123456789", Below(20));
      case 7:
        return "";
      case 8:
        return "5555555555554444 " + Of("abc def", Below(2000));
      case 9:
        return "NDExMTExMTExMTExMTExMQ==";
      default:
        return Of("0123456789 -abcdef\xc3\xa9", Below(60));
    }
  }
  std::string Number(bool binary) {
    const uint64_t n = Below(3) == 0 ? 4111111111111111 : rng_() >> Below(60);
    if (!binary) return std::to_string(n);
    std::string out(8, '\0');
    Store32(out.data(), static_cast<uint32_t>(n >> 32));
    Store32(out.data() + 4, static_cast<uint32_t>(n));
    return out;
  }

  /// A row of this mask, cell by cell.
  Cells Reference(const RowMask& mask, const Cells& cells, RowTally& tally) {
    Cells out = cells;
    for (size_t i = 0; i < cells.size();) {  // neighbours that make up a number
      std::string digits;
      size_t end = i;
      while (end < cells.size() && mask.Joins(end) && cells[end] && !cells[end]->empty() &&
             cells[end]->size() < 19 &&
             cells[end]->find_first_not_of("0123456789") == std::string::npos)
        digits += *cells[end++];
      std::vector<mask::Finding> findings;
      if (end - i > 1 && digits.size() >= 13 && digits.size() <= 19)
        masker_->FindText(digits, {}, findings);
      if (!findings.empty()) {
        for (size_t k = i; k < end; ++k) {
          out[k] = std::string(cells[k]->size(), '*');
          tally.Add(k, mask::DetectorKind::pan);
        }
      } else {
        for (size_t k = i; k < end; ++k) One(mask, k, cells, out, tally);
      }
      if (end < cells.size()) One(mask, end, cells, out, tally);
      i = end + 1;
    }
    return out;
  }
  void One(const RowMask& mask, size_t i, const Cells& cells, Cells& out, RowTally& tally) {
    if (!cells[i]) return;
    std::string text;
    bool null = false;
    if (!mask.Cell(i, *cells[i], text, null, tally)) return;
    out[i] = null ? std::nullopt : std::optional(text);
  }

  std::mt19937_64 rng_;
  std::shared_ptr<const mask::Masker> masker_;
  std::unique_ptr<sql::Catalog> catalog_;
};

TEST_F(RowMaskFindTest, GivesWhatTheCellsGive) {
  size_t changed = 0, as_they_are = 0;
  for (int round = 0; round < 600; ++round) {
    std::vector<Column> columns;
    for (uint32_t n = 1 + Below(6); n > 0; --n) {
      switch (Below(8)) {
        case 0:
          columns.push_back({.name = "id", .type = 23, .relation = 5000, .attribute = 9});
          break;
        case 1:
          columns.push_back({.name = "n", .type = 20, .binary = Below(2) == 0});
          break;
        case 2:
          columns.push_back({.name = "pan", .relation = 5000, .attribute = 1});
          break;
        case 3:
          columns.push_back({.name = "code", .relation = 5000, .attribute = 2});
          break;
        case 4:
          columns.push_back({.name = "amount", .type = 1700});
          break;
        case 5:
          columns.push_back({.name = "cvv"});
          break;
        default:
          columns.push_back({.name = Below(4) == 0 ? "card_number" : "note",
                             .relation = Below(2) == 0 ? 5001u : 0u,
                             .attribute = 3});
      }
    }
    const auto mask = Make(columns);
    std::string rows, want;
    RowTally want_tally, tally;
    for (uint32_t n = 1 + Below(40); n > 0; --n) {
      Cells cells;
      for (const Column& c : columns) {
        const bool number = c.type == 20 || c.type == 1700;
        cells.push_back(Below(9) == 0     ? std::nullopt
                        : number          ? std::optional(Number(c.binary))
                        : c.type == 23    ? std::optional(std::to_string(Below(1000)))
                        : c.name == "cvv" ? std::optional(std::to_string(100 + Below(99900)))
                                          : std::optional(Text()));
      }
      rows += RowOf(cells);
      want += RowOf(Reference(*mask, cells, want_tally));
    }
    RowEdits edits;
    ASSERT_TRUE(mask->Find(rows, edits, tally));
    std::string got = edits.empty() ? rows : std::string();
    if (!edits.empty()) edits.Apply(rows, got);
    ASSERT_EQ(got, want) << "round " << round;
    EXPECT_EQ(edits.empty(), rows == want);
    ASSERT_EQ(tally.Counts().size(), want_tally.Counts().size());
    for (size_t i = 0; i < tally.Counts().size(); ++i) {
      EXPECT_EQ(tally.Counts()[i].place, want_tally.Counts()[i].place);
      EXPECT_EQ(tally.Counts()[i].count, want_tally.Counts()[i].count);
    }
    (edits.empty() ? as_they_are : changed)++;
  }
  EXPECT_GT(changed, 100u);
  EXPECT_GT(as_they_are, 10u);
}

TEST_F(RowMaskFindTest, OnlyTheRowWithANumberChanges) {
  const auto mask = Make({{.name = "a", .relation = 5001, .attribute = 1},
                          {.name = "b", .relation = 5001, .attribute = 2}});
  std::string rows, want;
  for (int i = 0; i < 2000; ++i) {
    const bool card = i == 1234;
    const std::string name = "customer " + std::to_string(i);
    rows += RowOf({name, card ? "4111111111111111" : Of("0123456789abcdef", 31)});
    want += card ? RowOf({name, "************1111"}) : rows.substr(want.size());
  }
  RowEdits edits;
  RowTally tally;
  ASSERT_TRUE(mask->Find(rows, edits, tally));
  std::string got;
  edits.Apply(rows, got);
  EXPECT_EQ(got, want);
  ASSERT_EQ(tally.Counts().size(), 1u);
  EXPECT_EQ(tally.Counts()[0].count, 1u);
}

TEST_F(RowMaskFindTest, ARowThatIsCutOrTooLongIsRefused) {
  const auto mask = Make({{.name = "a"}, {.name = "b"}});
  const std::string row = RowOf({"x", "y"});
  RowEdits edits;
  RowTally tally;
  for (size_t i = 0; i < row.size(); ++i) {
    std::string cut = row.substr(0, i);
    if (i >= 5) Store32(cut.data() + 1, static_cast<uint32_t>(i - 1));
    if (i >= 7) EXPECT_FALSE(mask->Find(cut, edits, tally)) << i;
    std::string more = row + std::string(i + 1, '\0');
    Store32(more.data() + 1, static_cast<uint32_t>(more.size() - 1));
    EXPECT_FALSE(mask->Find(more, edits, tally)) << i;
  }
}

}  // namespace
}  // namespace sallyport::pg
