#include "pg/row_mask.h"

#include <gtest/gtest.h>

#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr std::string_view kCard = "4111111111111111";

struct Col {
  std::string name;
  uint32_t type = 25;
  uint32_t relation = 0;
  int16_t attribute = 0;
  int16_t format = 0;
};

ShapePtr ShapeOf(const std::vector<Col>& columns) {
  std::string out;
  MessageWriter w(out);
  w.Begin('T').U16(static_cast<uint16_t>(columns.size()));
  for (const Col& c : columns) {
    w.CString(c.name).U32(c.relation).U16(static_cast<uint16_t>(c.attribute)).U32(c.type);
    w.U16(0xffff).U32(0xffffffff).U16(static_cast<uint16_t>(c.format));
  }
  w.End();
  return Shape::Read(std::string_view(out).substr(5)).value();
}

using Cells = std::vector<std::optional<std::string>>;

std::string Row(const Cells& cells) {
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

Cells Parse(std::string_view row) {
  BodyReader r(row.substr(5));
  Cells cells(r.U16());
  for (auto& cell : cells) {
    const uint32_t n = r.U32();
    if (n != 0xffffffff) cell = std::string(r.Bytes(n));
  }
  EXPECT_TRUE(r.done());
  return cells;
}

class RowMaskTest : public testing::Test {
 protected:
  RowMaskTest() {
    const std::vector<mask::DetectorSpec> specs{{.name = "pan", .kind = mask::DetectorKind::pan},
                                                {.name = "sad", .kind = mask::DetectorKind::sad}};
    masker_ = mask::Masker::Make(specs, Secret(std::string(32, 'k'))).value();
    analysis_.returns_rows = true;
    analysis_.route = sql::Route::as_is;
    sql::CatalogRelation payments{.oid = 5000, .schema = "public", .name = "payments"};
    payments.columns = {{.name = "id", .number = 1, .type = 23},
                        {.name = "card", .number = 2, .type = 25, .mask = sql::SourceMask::last4},
                        {.name = "cvv", .number = 3, .type = 25, .mask = sql::SourceMask::null}};
    payments.classified = true;
    sql::Catalog::Content content;
    content.relations = {payments};
    catalog_ = std::make_unique<sql::Catalog>(std::move(content));
  }

  /// The row as a client gets it.
  Cells Through(const std::vector<Col>& columns, const Cells& cells) {
    auto made = RowMask::Make(*ShapeOf(columns), analysis_, catalog_.get(), masker_);
    EXPECT_TRUE(made) << (made ? "" : made.error().detail);
    const std::string row = Row(cells);
    RowEdits edits;
    EXPECT_TRUE((*made)->Find(row, edits, tally_));
    if (edits.empty()) return cells;
    std::string out;
    edits.Apply(row, out);
    return Parse(out);
  }

  std::shared_ptr<const mask::Masker> masker_;
  sql::Analysis analysis_;
  std::unique_ptr<sql::Catalog> catalog_;
  RowTally tally_;
};

TEST_F(RowMaskTest, WhatCanHoldNothingIsNotLookedAt) {
  auto made = RowMask::Make(*ShapeOf({{"a", 23}, {"b", 1184}, {"c", 2950}, {"d", 16}}), analysis_,
                            catalog_.get(), masker_);
  ASSERT_TRUE(made);
  EXPECT_TRUE((*made)->passes());
  RowEdits edits;
  EXPECT_TRUE((*made)->Find("rubbish", edits, tally_));
  EXPECT_TRUE(edits.empty());
}

TEST_F(RowMaskTest, NumbersInTextAreMaskedAndNullStaysNull) {
  const Cells got =
      Through({{"id", 23}, {"note"}, {"other"}}, {"7", "card 4111 1111 1111 1111!", std::nullopt});
  EXPECT_EQ(got, (Cells{"7", "card **** **** **** 1111!", std::nullopt}));
  EXPECT_EQ(tally_.Counts().size(), 1u);
  EXPECT_EQ(tally_.Counts()[0].place, "/1");
}

TEST_F(RowMaskTest, ANumberBehindALengthThatLooksLikeADigitIsSeen) {
  // The length of the cell is 0x34, the character '4', directly before the number's first digit.
  std::string text = std::string(kCard) + std::string(52 - kCard.size(), '.');
  const Cells got = Through({{"note"}}, {text});
  EXPECT_EQ(got[0]->substr(0, 16), "************1111");
}

TEST_F(RowMaskTest, BinaryNumbersBecomeSurrogates) {
  std::string value(8, '\0');
  Store32(value.data(), static_cast<uint32_t>(4111111111111111ull >> 32));
  Store32(value.data() + 4, static_cast<uint32_t>(4111111111111111ull));
  const Cells got = Through({{"n", 20, 0, 0, 1}}, {value});
  ASSERT_TRUE(got[0]);
  EXPECT_EQ(got[0]->size(), 8u);
  EXPECT_NE(*got[0], value);
  std::string small(8, '\0');
  small[7] = 5;
  EXPECT_EQ(Through({{"n", 20, 0, 0, 1}}, {small}), Cells{small});
}

TEST_F(RowMaskTest, RangesAndMoneyHaveNoMaskedFormButNull) {
  const Cells text = Through({{"r", 3926}}, {"[4111111111111111,4111111111111113)"});
  EXPECT_EQ(text, Cells{std::nullopt});
  std::string bound(8, '\0');
  Store32(bound.data(), static_cast<uint32_t>(4111111111111111ull >> 32));
  Store32(bound.data() + 4, static_cast<uint32_t>(4111111111111111ull));
  std::string range("\x02\0\0\0\x08", 5);
  range += bound + std::string("\0\0\0\x08", 4) + bound;
  EXPECT_EQ(Through({{"r", 3926, 0, 0, 1}}, {range}), Cells{std::nullopt});
}

TEST_F(RowMaskTest, OriginIsMaskedWhateverItLooksLike) {
  const Cells got = Through({{"x", 25, 5000, 2}, {"y", 25, 5000, 3}, {"id", 23, 5000, 1}},
                            {"1234567890123456", "12", "9"});
  EXPECT_EQ(got, (Cells{"************3456", std::nullopt, "9"}));
}

TEST_F(RowMaskTest, OriginLeavesNoNumberInLetters) {
  const auto shown = [&](const char* value) {
    return Through({{"x", 25, 5000, 2}}, {value})[0].value_or("");
  };
  EXPECT_EQ(shown("four one one one one one one one one one one one one one one one"),
            "**** *** *** *** *** *** *** *** *** *** *** *** *** *** *** ***");
  EXPECT_EQ(shown("NDExMTExMTExMTExMTExMQ=="), "**********************==");
  EXPECT_EQ(shown("card 4111111111111111"), "card ************1111");
  EXPECT_EQ(shown("Visa of Ann"), "Visa of Ann");
}

TEST_F(RowMaskTest, AShortValueShowsNothing) {
  EXPECT_EQ(Through({{"x", 25, 5000, 2}}, {"12345"}), Cells{"*****"});
  EXPECT_EQ(Through({{"x", 25, 5000, 2}}, {"\xef\xbc\x94\xef\xbc\x91"}), Cells{"**"});
}

TEST_F(RowMaskTest, AClassifiedNumberHasNoTextToMask) {
  EXPECT_EQ(Through({{"x", 1700, 5000, 2}}, {"4111111111111111"}), Cells{std::nullopt});
}

TEST_F(RowMaskTest, AnOutputThatIsNotWhereItWasExpectedCondemnsTheResult) {
  analysis_.route = sql::Route::by_origin;
  analysis_.outputs = {{.index = 0, .relation = 5000, .column = 2, .mask = sql::SourceMask::last4}};
  for (const Col& column : {Col{"x", 25, 5000, 1}, Col{"x", 25, 5001, 2}, Col{"x", 25, 0, 0}}) {
    const auto made = RowMask::Make(*ShapeOf({column}), analysis_, catalog_.get(), masker_);
    ASSERT_FALSE(made);
    EXPECT_EQ(made.error().code, Errc::sql_not_maskable);
  }
  EXPECT_TRUE(RowMask::Make(*ShapeOf({{"x", 25, 5000, 2}}), analysis_, catalog_.get(), masker_));
}

TEST_F(RowMaskTest, AVerificationCodeIsKnownByItsColumn) {
  EXPECT_EQ(Through({{"cvv"}}, {"123"}), Cells{"[SAD removed]"});
  EXPECT_EQ(Through({{"quantity"}}, {"123"}), Cells{"123"});
}

TEST_F(RowMaskTest, RowsThatDoNotFitAreRefused) {
  auto made = RowMask::Make(*ShapeOf({{"a"}, {"b"}}), analysis_, catalog_.get(), masker_);
  ASSERT_TRUE(made);
  RowEdits edits;
  EXPECT_FALSE((*made)->Find(Row({"only one"}), edits, tally_));
  std::string cut = Row({"x", "y"});
  cut[10] = 100;  // a cell longer than its row
  EXPECT_FALSE((*made)->Find(cut, edits, tally_));
}

TEST_F(RowMaskTest, FormatsOfABindAreThoseOfTheShape) {
  const ShapePtr text = ShapeOf({{"a", 20}, {"b", 25}});
  const int16_t one[] = {1}, each[] = {0, 1};
  EXPECT_TRUE(text->With(one)->columns[1].binary);
  EXPECT_FALSE(text->With(each)->columns[0].binary);
  EXPECT_TRUE(text->With(each)->columns[1].binary);
  EXPECT_NE(text->With(one)->raw, text->raw);
  EXPECT_EQ(text->With({})->raw, text->raw);
  const auto again = Shape::Read(text->With(each)->raw);
  ASSERT_TRUE(again);
  EXPECT_TRUE((*again)->columns[1].binary);
}

TEST_F(RowMaskTest, LongValuesKeepTheirLengthHoweverTheyAreCut) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "abc def ";
  const size_t at = 100'003;
  text.replace(at, kCard.size() + 2, " " + std::string(kCard) + " ");
  for (const size_t step : {7u, 4096u, 65'536u, 400'000u}) {
    LongMask mask(masker_, RowMask::Long::scan);
    std::string out;
    for (size_t i = 0; i < text.size(); i += step)
      mask.Feed(std::string_view(text).substr(i, step), out);
    mask.Finish(out);
    ASSERT_EQ(out.size(), text.size());
    EXPECT_EQ(out.substr(at + 1, 16), "************1111");
    EXPECT_EQ(out.substr(0, at), text.substr(0, at));
  }
  LongMask star(masker_, RowMask::Long::star);
  std::string out;
  star.Feed("ab 12-", out);
  star.Finish(out);
  EXPECT_EQ(out, "******");
}

TEST_F(RowMaskTest, ComputedCellsSideBySideAreReadTogether) {
  const Cells parts{"45395779", "86432614"};
  EXPECT_EQ(Through({{"a", 25}, {"b", 25}}, parts), (Cells{"********", "********"}));
  EXPECT_EQ(Through({{"a", 25}, {"b", 25}}, {"45395779", "86432615"}),
            (Cells{"45395779", "86432615"}));                // no check digit
  EXPECT_EQ(Through({{"a", 23}, {"b", 25}}, parts), parts);  // an integer is no part of a text
}

}  // namespace
}  // namespace sallyport::pg
