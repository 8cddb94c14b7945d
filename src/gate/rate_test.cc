#include "gate/rate.h"

#include <gtest/gtest.h>

namespace sallyport::gate {
namespace {

constexpr Nanos kSecond = 1'000'000'000;

TEST(RateLimiter, NoWindowEverHoldsMoreThanTheRuleAllows) {
  RateLimiter limiter;
  const std::vector<op::Rate> rates{{.rule = "r", .calls = 3, .period_seconds = 60}};
  for (int i = 0; i < 3; ++i) EXPECT_EQ(limiter.Take("ana", rates, i * kSecond), 0u);
  EXPECT_EQ(limiter.Take("ana", rates, 3 * kSecond), 57u);
  EXPECT_EQ(limiter.Take("bot", rates, 3 * kSecond), 0u);
  EXPECT_EQ(limiter.Take("ana", rates, 60 * kSecond), 0u);
  EXPECT_EQ(limiter.Take("ana", rates, 60 * kSecond + 1), 1u);
}

TEST(RateLimiter, TakesFromAllRatesOrFromNone) {
  RateLimiter limiter;
  const op::Rate wide{.rule = "wide", .calls = 10, .period_seconds = 60};
  const op::Rate tight{.rule = "tight", .calls = 1, .period_seconds = 60};
  EXPECT_EQ(limiter.Take("ana", {wide, tight}, 0), 0u);
  for (int i = 0; i < 20; ++i) EXPECT_GT(limiter.Take("ana", {wide, tight}, kSecond), 0u);
  for (int i = 0; i < 9; ++i)
    EXPECT_EQ(limiter.Take("ana", {wide}, kSecond), 0u);  // none was spent in vain
  EXPECT_GT(limiter.Take("ana", {wide}, kSecond), 0u);
}

}  // namespace
}  // namespace sallyport::gate
