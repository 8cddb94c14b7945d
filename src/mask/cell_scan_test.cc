#include "mask/cell_scan.h"

#include <gtest/gtest.h>
#include <random>
#include <set>
#include <string>

#include "mask/corpus_format.h"
#include "mask/masker.h"
#include "mask/scan.h"

namespace sallyport::mask {
namespace {

class Cells {
 public:
  explicit Cells(uint32_t seed) : rng_(seed) {}

  std::string Next() {
    static const char* const kWords[] = {"customer ", "card ",  "cvv ",    "cav2 123 1l1", "cvc2:",
                                         "pin block", "union ", "reverse", "four one ",    "one "};
    std::string s;
    for (uint32_t n = 1 + Below(3); n > 0; --n) {
      switch (Below(12)) {
        case 0:
          s += Of("0123456789abcdef", 32);
          break;
        case 1:
          s += Of("0123456789abcdef", 1 + Below(40));
          break;
        case 2:
          s += kWords[Below(10)];
          break;
        case 3:
          s += Of("0123456789", 1 + Below(20));
          break;
        case 4:
          s += "4111 1111 1111 1111";
          break;
        case 5:
          s += Of("0123456789 -.\\u&#;%x=lOIo", 1 + Below(30));
          break;
        case 6:
          s += "\xef\xbc\x94\xef\xbc\x91";
          break;
        case 7:
          s += "uno dos tres cuatro cinco seis siete ocho nueve cero uno dos tres four one one ";
          break;
        case 8:
          s += "NDExMTExMTExMTExMTExMQ";
          break;
        case 9:
          s += std::string(Below(40), ' ');
          break;
        case 10:
          s += "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1";
          break;
        default:
          s += Of("abcdefghijklmnopqrstuvwxyz ABC", 1 + Below(30));
      }
    }
    return s;
  }
  uint32_t Below(uint32_t n) { return uint32_t(rng_() % n); }

 private:
  std::string Of(std::string_view set, uint32_t n) {
    std::string s;
    while (s.size() < n) s += set[Below(uint32_t(set.size()))];
    return s;
  }
  std::mt19937 rng_;
};

TEST(CellScanTest, NamesEveryTextThatIsNamedAlone) {
  const auto masker = *Masker::Make(DefaultDetectors(), Secret("0123456789abcdef"));
  CellScan scan;
  Cells cells(11);
  size_t alone = 0, together = 0, texts = 0;
  for (int round = 0; round < 400; ++round) {
    scan.Clear();
    std::vector<std::string> all;
    for (uint32_t i = 0, n = 1 + cells.Below(300); i < n; ++i) {
      all.push_back(cells.Next());
      if (cells.Below(3) == 0) all.back().resize(std::min<size_t>(all.back().size(), 14));
      scan.Add(all.back(), i);
    }
    scan.Finish();
    const std::set<uint32_t> hits(scan.hits().begin(), scan.hits().end());
    EXPECT_EQ(hits.size(), scan.hits().size());
    for (uint32_t i = 0; i < all.size(); ++i) {
      ++texts;
      together += hits.contains(i);
      if (hits.contains(i)) continue;
      if (all[i].size() >= 12) {
        ASSERT_FALSE(MayHoldCardData(all[i])) << i << ": " << all[i];
        continue;
      }
      std::vector<Finding> findings;  // of short ones only what is found counts
      masker->FindText(all[i], {}, findings);
      ASSERT_TRUE(findings.empty()) << all[i];
    }
    for (const std::string& text : all) alone += MayHoldCardData(text);
  }
  EXPECT_GT(alone, texts / 10);
  EXPECT_LT(together, alone + texts / 4);  // what stands beside it names few others
}

TEST(CellScanTest, NamesNothingInOrdinaryCells) {
  CellScan scan;
  std::mt19937 rng(3);
  scan.Clear();
  for (uint32_t i = 0; i < 20'000; ++i) {
    std::string hash;
    while (hash.size() < 32) hash += "0123456789abcdef"[rng() % 16];
    scan.Add("customer " + std::to_string(i), 3 * i);
    scan.Add(hash, 3 * i + 1);
    scan.Add(i % 2 ? "open" : "closed", 3 * i + 2);
  }
  scan.Finish();
  // Hashes with a plausible number in them, or that decode to characters, and their neighbours.
  EXPECT_LT(scan.hits().size(), 900u);
}

TEST(CellScanTest, LongTextsAreLookedAtWhereTheyStand) {
  CellScan scan;
  scan.Clear();
  std::string text(100'000, 'a');
  scan.Add(text, 1);
  text.replace(77'777, 18, " 4111111111111111 ");
  scan.Add(text, 2);
  scan.Finish();
  EXPECT_EQ(scan.hits(), std::vector<uint32_t>{2});
}

/// What a blob decodes to if it is worth a look (decode.cc): characters, EBCDIC digits, gzip.
TEST(CellScanTest, NoBlobThatDecodesToCharactersIsPassedOver) {
  std::mt19937 rng(4);
  static const char* const kPieces[] = {"4", "1", " ",  "a",    "\xc3\xa9", "\xe2\x82\xac",
                                        "0", "7", "\t", "{\"a", "\n",       "\xf0\x9f\x92\xb3"};
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes;
    const size_t n = 12 + rng() % 30;
    while (bytes.size() < n) bytes += kPieces[rng() % 12];
    if (i % 7 == 0) {
      for (char& c : bytes) c = char(0xf0 + rng() % 10);
    }
    if (i % 11 == 0) bytes.replace(0, 2, "\x1f\x8b");
    std::string hex;
    for (const char c : bytes) {
      hex += "0123456789abcdef"[uint8_t(c) >> 4];
      hex += "0123456789abcdef"[uint8_t(c) & 15];
    }
    ASSERT_TRUE(MayHoldCardData(hex)) << hex;
  }
}

}  // namespace
}  // namespace sallyport::mask
