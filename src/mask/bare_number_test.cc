// Numbers among numbers: the short way to a verdict gives the findings of the long one.
#include "mask/bare_number.h"

#include <gtest/gtest.h>
#include <random>
#include <string>
#include <vector>

#include "mask/corpus_format.h"
#include "mask/variation_maker.h"

namespace sallyport::mask {
namespace {

/// A line of cells with nothing but digits and marks.
std::string Line(Maker& m) {
  static constexpr const char* kBetween[] = {",", ",,", " ", "\n", ", ", "|", ":", "-", "/", ",+"};
  std::string line;
  for (int n = 1 + m.Below(8); n > 0 && line.size() < 90; n--) {
    std::string number;
    switch (m.Below(5)) {
      case 0:
        number = m.Complete("4", 16);
        break;
      case 1:
        number = m.Complete("5018", 12 + m.Below(8));
        break;
      case 2:
        number = m.Digits(1 + m.Below(19));
        break;
      case 3:
        number = m.Complete("51", 16).insert(12, "-").insert(8, "-").insert(4, "-");
        break;
      default:
        number = std::to_string(1 + m.Below(12)) + "/" + std::to_string(24 + m.Below(8)) + " " +
                 m.Digits(3);
    }
    line += number + kBetween[m.Below(10)];
  }
  return line;
}

TEST(BareNumber, IsFoundAsByTheFullJudge) {
  const auto masker = *Masker::Make(DefaultDetectors(), Secret("0123456789abcdef"));
  Maker maker(11);
  int found = 0;
  for (int round = 0; round < 4000; round++) {
    // A mark that is not quiet and says nothing, far enough to be no part of anything.
    const std::string text = Line(maker) + std::string(80, ' ');
    const std::string quiet = text + "!", loud = text + "^";
    for (const char* hint : {"", "card_number", "order_id", "imei"}) {
      std::vector<Finding> a, b;
      masker->FindText(quiet, {.hint = hint}, a);
      masker->FindText(loud, {.hint = hint}, b);
      found += int(a.size());
      ASSERT_EQ(a.size(), b.size()) << hint << ": " << text;
      for (size_t i = 0; i < a.size(); i++) {
        EXPECT_EQ(a[i].begin, b[i].begin) << text;
        EXPECT_EQ(a[i].end, b[i].end) << text;
        EXPECT_EQ(a[i].network, b[i].network) << text;
        EXPECT_EQ(a[i].evidence, b[i].evidence) << text;
      }
      std::string x, y;
      Tally tally;
      masker->MaskText(quiet, {.hint = hint}, x, tally);
      masker->MaskText(loud, {.hint = hint}, y, tally);
      EXPECT_EQ(x.substr(0, x.size() - std::min<size_t>(x.size(), 1)),
                y.substr(0, y.size() - std::min<size_t>(y.size(), 1)));
    }
  }
  EXPECT_GT(found, 10000);
}

TEST(BareNumber, NeedsQuiet) {
  const auto decided = [](std::string_view text) {
    const size_t at = text.find("4111111111111111");
    return JudgeBareNumber(text, {at, at + 16}, {}, HintClass::none).decided;
  };
  EXPECT_TRUE(decided("1,4111111111111111,2.5\n"));
  EXPECT_TRUE(decided("\"4111111111111111\""));
  for (const char* loud :
       {"card 4111111111111111", "4111111111111111=2712", ";4111111111111111", "4111111111111111+1",
        "4111111111111111 +1", "4111111111111111,12/27 123", "0.4111111111111111",
        "4111111111111111 1111 1111 1111", "%314111111111111111",
        "\xc2\xa0"
        "4111111111111111",
        "*4111111111111111"}) {
    EXPECT_FALSE(decided(loud)) << loud;
  }
  const std::string far = "imei" + std::string(150, ' ') + "4111111111111111";
  EXPECT_FALSE(decided(far));
  EXPECT_TRUE(decided("imei" + std::string(200, ' ') + "4111111111111111"));
}

}  // namespace
}  // namespace sallyport::mask
