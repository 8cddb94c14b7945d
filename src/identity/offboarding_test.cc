#include "identity/offboarding.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::identity {
namespace {

using namespace std::chrono_literals;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

ProviderConfig Corp() {
  ProviderConfig p;
  p.name = "corp";
  p.max_lifetime = 1h;
  p.skew = 60s;
  return p;
}

TEST(WorstCase, NothingButTheEndOfWhatWasGiven) {
  const auto worst = WorstCase(Corp(), {}, 4h, true);
  EXPECT_THAT(worst.told_by, IsEmpty());
  EXPECT_EQ(worst.sessions.within, 4h);
  EXPECT_EQ(worst.tokens.within, 3660s);
  EXPECT_THAT(Describe(worst), HasSubstr("sessions end within 4 hours (the session's own end)"));
  EXPECT_THAT(Describe(worst), Not(HasSubstr("message")));
}

TEST(WorstCase, AMessageIsNotCountedOnAlone) {
  SignalConfig signals;
  signals.sends_revocation = true;
  signals.ssf = SignalConfig::Ssf{};
  const auto worst = WorstCase(Corp(), signals, 4h, true);
  EXPECT_THAT(worst.told_by, ElementsAre("global token revocation", "security events (push)"));
  EXPECT_EQ(worst.sessions.within, 4h) << "a message can be lost";
  EXPECT_THAT(Describe(worst),
              HasSubstr("within 1 second of its message by global token revocation or security"));
}

TEST(WorstCase, EventsThatAreFetchedEndTokensToo) {
  SignalConfig signals;
  signals.ssf = SignalConfig::Ssf{.push = false, .poll = SignalConfig::Ssf::Poll{.every = 30s}};
  const auto worst = WorstCase(Corp(), signals, 4h, true);
  EXPECT_THAT(worst.told_by, IsEmpty());
  EXPECT_EQ(worst.sessions.within, 36s);
  EXPECT_EQ(worst.tokens.within, 36s);
  EXPECT_EQ(worst.sessions_unreachable.within, 4h);
}

TEST(WorstCase, APollIsAboutSessionsAndHoldsWithoutAnAnswer) {
  SignalConfig signals;
  signals.poll = SignalConfig::Poll{.every = 60s, .unreachable_for = 600s};
  auto worst = WorstCase(Corp(), signals, 4h, true);
  EXPECT_EQ(worst.sessions.within, 66s);
  EXPECT_EQ(worst.sessions.by, "poll");
  EXPECT_EQ(worst.tokens.within, 3660s);
  EXPECT_EQ(worst.sessions_unreachable.within, 666s);
  EXPECT_THAT(Describe(worst), HasSubstr("while it cannot be reached"));
  worst = WorstCase(Corp(), signals, 50s, true);
  EXPECT_EQ(worst.sessions.within, 50s) << "what ends first";
  worst = WorstCase(Corp(), signals, 4h, false);
  EXPECT_EQ(worst.sessions.within, 0s) << "nobody has a session";
}

}  // namespace
}  // namespace sallyport::identity
