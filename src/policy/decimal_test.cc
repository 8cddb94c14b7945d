#include "policy/decimal.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

int Compare(std::string_view a, std::string_view b) {
  auto order = *Decimal::Parse(a) <=> *Decimal::Parse(b);
  return order < 0 ? -1 : order > 0 ? 1 : 0;
}

TEST(Decimal, OneValueHasManySpellings) {
  for (auto text : {"100", "100.0", "1e2", "1E+2", "10.0e1", "1000e-1", "0.1e3", "100.000"}) {
    EXPECT_EQ(Compare(text, "100"), 0) << text;
  }
  for (auto text : {"0", "-0", "0.0", "0e99", "-0.00e-3"}) EXPECT_EQ(Compare(text, "0"), 0) << text;
}

TEST(Decimal, OrderIsExact) {
  EXPECT_LT(Compare("9007199254740992", "9007199254740993"), 0);
  EXPECT_LT(Compare("0.1", "0.10000000000000000001"), 0);
  EXPECT_LT(Compare("99", "100"), 0);
  EXPECT_LT(Compare("-100", "-99"), 0);
  EXPECT_LT(Compare("-1", "0"), 0);
  EXPECT_LT(Compare("0", "1e-300"), 0);
  EXPECT_LT(Compare("9e-1", "1"), 0);
  EXPECT_GT(Compare("1e400", "9e399"), 0);
  EXPECT_GT(Compare("123456789012345678901234567890", "123456789012345678901234567889"), 0);
  EXPECT_LT(Compare("-1e400", "-9e399"), 0);
  EXPECT_GT(Compare("12", "1"), 0);
}

TEST(Decimal, RefusesWhatIsNoJsonNumber) {
  for (auto text : {"", "-", "+1", "01", "1.", ".5", "1e", "1e+", "0x10", "1 ", "1_000", "NaN",
                    "1e9999999999"}) {
    EXPECT_FALSE(Decimal::Parse(text)) << text;
  }
  EXPECT_TRUE(Decimal::Parse("1e999999999"));
  EXPECT_TRUE(Decimal::Parse("1e0000000000001"));
}

}  // namespace
}  // namespace sallyport::policy
