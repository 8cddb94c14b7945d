#include "gate/refusals.h"

#include <gtest/gtest.h>
#include <string>

namespace sallyport::gate {
namespace {

constexpr Nanos kSecond = 1'000'000'000;

void Refuse(Refusals& refusals, std::string_view address, uint32_t count, Nanos now) {
  for (uint32_t i = 0; i < count; ++i) refusals.Add(address, now);
}

TEST(Refusals, AStormIsTurnedAwayAndOthersAreNot) {
  Refusals refusals;
  const Nanos now = 1000 * kSecond;
  Refuse(refusals, "192.0.2.1", Refusals::kBurst - 1, now);
  EXPECT_EQ(refusals.Ask("192.0.2.1", now).wait_seconds, 0u);
  refusals.Add("192.0.2.1", now);
  EXPECT_EQ(refusals.Ask("192.0.2.1", now).wait_seconds, 1u);
  EXPECT_EQ(refusals.Ask("::ffff:192.0.2.1", now).wait_seconds, 1u);
  EXPECT_EQ(refusals.Ask("192.0.2.2", now).wait_seconds, 0u);
}

TEST(Refusals, AreForgivenWithTime) {
  Refusals refusals;
  const Nanos now = 1000 * kSecond;
  Refuse(refusals, "192.0.2.1", Refusals::kBurst, now);
  uint32_t read = 0;
  for (int i = 0; i < 1000; ++i) {  // a storm that goes on for ten seconds
    const Nanos at = now + (i + 1) * kSecond / 100;
    if (refusals.Ask("192.0.2.1", at).wait_seconds != 0) continue;
    ++read;
    refusals.Add("192.0.2.1", at);
  }
  EXPECT_NEAR(read, 10 * Refusals::kPerSecond, 2);
  EXPECT_EQ(refusals.Ask("192.0.2.1", now + 20 * kSecond).wait_seconds, 0u);
}

TEST(Refusals, AHostHasOneIpv6Network) {
  Refusals refusals;
  const Nanos now = 1000 * kSecond;
  for (uint32_t i = 0; i < Refusals::kBurst; ++i)
    refusals.Add("2001:db8::" + std::to_string(i % 1000), now);
  EXPECT_EQ(refusals.Ask("2001:db8::ffff:1", now).wait_seconds, 1u);
  EXPECT_EQ(refusals.Ask("2001:db8:0:1::1", now).wait_seconds, 0u);
}

TEST(Refusals, AreToldOnceInAWhileWithTheirNumber) {
  Refusals refusals;
  const Nanos now = 1000 * kSecond;
  Refuse(refusals, "192.0.2.1", Refusals::kBurst + 1000, now);
  EXPECT_EQ(refusals.Ask("192.0.2.1", now).turned_away, 1u);
  for (int i = 0; i < 41; ++i) EXPECT_EQ(refusals.Ask("192.0.2.1", now).turned_away, 0u);
  EXPECT_EQ(refusals.Ask("192.0.2.1", now + Refusals::kTellEvery).turned_away, 42u);
}

TEST(Refusals, ManyAddressesDoNotPushOutTheWorst) {
  Refusals refusals;
  const Nanos now = 1000 * kSecond;
  Refuse(refusals, "192.0.2.1", Refusals::kBurst, now);
  for (int i = 0; i < 200'000; ++i)
    refusals.Add("10." + std::to_string(i >> 16) + "." + std::to_string(i >> 8 & 255) + "." +
                     std::to_string(i & 255),
                 now);
  EXPECT_EQ(refusals.Ask("192.0.2.1", now).wait_seconds, 1u);
}

}  // namespace
}  // namespace sallyport::gate
