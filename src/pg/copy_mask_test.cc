#include "pg/copy_mask.h"

#include <gtest/gtest.h>

#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr std::string_view kCard = "4111111111111111";

std::string Header() { return std::string("PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0", 19); }

class CopyMaskTest : public testing::Test {
 protected:
  CopyMaskTest() {
    const std::vector<mask::DetectorSpec> specs{{.name = "pan", .kind = mask::DetectorKind::pan}};
    masker_ = mask::Masker::Make(specs, Secret(std::string(32, 'k'))).value();
  }
  static std::string Row(const std::vector<std::string>& fields) {
    std::string out;
    MessageWriter w(out);
    w.U16(static_cast<uint16_t>(fields.size()));
    for (const std::string& f : fields) w.U32(static_cast<uint32_t>(f.size())).Bytes(f);
    return out;
  }
  /// nullopt: refused.
  std::optional<std::string> InPieces(std::string_view body, size_t step) {
    LongBinaryCopy copy(masker_);
    std::string out;
    for (size_t at = 0; at < body.size(); at += step) {
      if (!copy.Feed(body.substr(at, step), out)) return std::nullopt;
    }
    found_ = copy.found();
    return copy.Finish() ? std::optional(out) : std::nullopt;
  }
  std::shared_ptr<const mask::Masker> masker_;
  uint32_t found_ = 0;
};

TEST_F(CopyMaskTest, FieldsAreMaskedInTheirLengthHoweverTheyAreCut) {
  std::string number(8, '\0');
  Store32(number.data(), static_cast<uint32_t>(4111111111111111ull >> 32));
  Store32(number.data() + 4, static_cast<uint32_t>(4111111111111111ull));
  std::string text(200'000, 'a');
  text.replace(150'000, 18, " " + std::string(kCard) + " ");
  const std::string body =
      Header() + Row({std::string(kCard), number, "plain", text}) + Row({}) + "\xff\xff";
  const auto whole = InPieces(body, body.size());
  ASSERT_TRUE(whole);
  EXPECT_EQ(found_, 3u);
  ASSERT_EQ(whole->size(), body.size());
  EXPECT_TRUE(IsBinaryCopy(*whole));
  EXPECT_EQ(whole->find(kCard), whole->npos);
  EXPECT_EQ(whole->find(number), whole->npos);
  EXPECT_EQ(whole->substr(19 + 2 + 4, 16), "************1111");
  EXPECT_NE(whole->find("plain"), whole->npos);
  for (const size_t step : {1u, 3u, 4096u, 70'000u}) EXPECT_EQ(InPieces(body, step), whole) << step;
}

TEST_F(CopyMaskTest, WhatNoServerSendsIsRefused) {
  const std::string row = Row({"abc", "a text that is longer than the head"});
  EXPECT_TRUE(InPieces(row, 5));
  EXPECT_TRUE(InPieces(Header() + row, 7));
  EXPECT_TRUE(InPieces(row + "\xff\xff", 5));
  EXPECT_FALSE(InPieces(row + "\xff\xff" + "x", 5));            // behind the trailer
  EXPECT_FALSE(InPieces(row.substr(0, row.size() - 1), 5));     // in a field
  EXPECT_FALSE(InPieces(row + std::string(1, '\0'), 5));        // in a count
  EXPECT_FALSE(InPieces(row + std::string("\0\1\0\0", 4), 5));  // in a length
  for (const std::string& body : {row + "\xff\xff" + "x", row.substr(0, row.size() - 1)})
    EXPECT_FALSE(IsBinaryCopy(body));
}

}  // namespace
}  // namespace sallyport::pg
