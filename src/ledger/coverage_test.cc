#include "ledger/coverage.h"

#include <algorithm>
#include <gtest/gtest.h>
#include <openssl/hmac.h>

#include "ledger/entry.h"
#include "ledger/sample.h"
#include "ledger/scratch_for_tests.h"
#include "ledger/writer.h"

namespace sallyport::ledger {
namespace {

using op::EventType;

constexpr Nanos kSecond = 1'000'000'000, kStart = 1'795'000'000 * kSecond;

/// A log whose entries say when they were written.
class CoverageTest : public testing::Test {
 protected:
  CoverageTest() { ledger_ = *Ledger::Open(TestOptions(dir_)); }

  uint64_t Add(EventType type, Nanos after, op::Evidence e = {}) {
    e.type = type;
    e.at = kStart + after;
    return *ledger_->Append(EncodeEntry(e));
  }
  void Beats(Nanos from, Nanos to) {
    for (Nanos at = from; at <= to; at += 10 * kSecond) {
      op::Evidence e;
      e.detail = "clock synchronized, at most 100 us off";
      Add(EventType::log_heartbeat, at, std::move(e));
    }
  }
  Coverage Read(Nanos from = 0, Nanos to = 0) {
    EXPECT_TRUE(ledger_->AppendStrictBlocking(EncodeEntry([&] {
      op::Evidence e;
      e.type = EventType::log_heartbeat;
      e.at = kStart + end_;
      return e;
    }())));
    auto coverage = Cover(dir_.path(), from == 0 ? 0 : kStart + from, to == 0 ? 0 : kStart + to);
    EXPECT_TRUE(coverage) << coverage.error().detail;
    return coverage.value_or(Coverage{});
  }

  Scratch dir_;
  std::unique_ptr<Ledger> ledger_;
  Nanos end_ = 100 * kSecond;
};

TEST_F(CoverageTest, HeartbeatsCoverSilence) {
  Add(EventType::log_start, 0);
  Beats(5 * kSecond, 95 * kSecond);
  const Coverage c = Read();
  EXPECT_TRUE(c.whole()) << c.Text();
  EXPECT_EQ(c.entries, 12u);
  EXPECT_EQ(c.synchronized, 10u);
  EXPECT_EQ(c.from, kStart);
}

TEST_F(CoverageTest, EachKindOfOutageIsListedWithItsCause) {
  Add(EventType::log_start, 0);
  Beats(0, 20 * kSecond);
  Add(EventType::log_stop, 21 * kSecond);
  Add(EventType::log_start, 100 * kSecond);
  Beats(100 * kSecond, 130 * kSecond);
  Add(EventType::log_start, 200 * kSecond);  // killed after 130
  Beats(200 * kSecond, 220 * kSecond);
  Add(EventType::config_loaded, 300 * kSecond);  // hung
  end_ = 301 * kSecond;
  const Coverage c = Read();
  ASSERT_EQ(c.outages.size(), 3u) << c.Text();
  EXPECT_EQ(c.outages[0].cause, "stopped");
  EXPECT_EQ(c.outages[0].from, kStart + 21 * kSecond);
  EXPECT_EQ(c.outages[0].to, kStart + 100 * kSecond);
  EXPECT_NE(c.outages[1].cause.find("without a word"), std::string::npos);
  EXPECT_NE(c.outages[2].cause.find("although the process ran"), std::string::npos);
  EXPECT_EQ(c.outages[2].after, c.outages[2].before + 1);
}

TEST_F(CoverageTest, ThePeriodThatWasAskedForIsWhatIsCovered) {
  Add(EventType::log_start, 0);
  Beats(0, 50 * kSecond);
  Add(EventType::log_stop, 51 * kSecond);
  Add(EventType::log_start, 90 * kSecond);
  EXPECT_TRUE(Read(10 * kSecond, 50 * kSecond).whole());
  const Coverage early = Read(-3600 * kSecond, 40 * kSecond);
  ASSERT_EQ(early.outages.size(), 1u) << early.Text();
  EXPECT_EQ(early.outages[0].cause, "the log had not begun");
  EXPECT_EQ(early.outages[0].to - early.outages[0].from, 3600 * kSecond);
  const Coverage end = Read(10 * kSecond, 80 * kSecond);  // ends inside the outage
  ASSERT_EQ(end.outages.size(), 1u) << end.Text();
  EXPECT_EQ(end.outages[0].to, kStart + 80 * kSecond);
  const Coverage begin = Read(70 * kSecond, 100 * kSecond);  // begins inside it
  ASSERT_EQ(begin.outages.size(), 1u) << begin.Text();
  EXPECT_EQ(begin.outages[0].from, kStart + 70 * kSecond);
  EXPECT_FALSE(Cover(dir_.path(), kStart + 4000 * kSecond, kStart + 5000 * kSecond));
}

TEST_F(CoverageTest, ASteppedClockIsNoOutage) {
  Add(EventType::log_start, 0);
  Beats(0, 10 * kSecond);
  op::Evidence e;
  e.detail = "by +3600.000 s";
  Add(EventType::config_loaded, 3611 * kSecond);  // written before the step was noticed
  Add(EventType::clock_stepped, 3611 * kSecond, std::move(e));
  Beats(3612 * kSecond, 3630 * kSecond);
  op::Evidence back;
  back.detail = "by -3600.000 s";
  Add(EventType::clock_stepped, 31 * kSecond, std::move(back));
  Beats(32 * kSecond, 100 * kSecond);
  const Coverage c = Read();
  EXPECT_TRUE(c.whole()) << c.Text();
  ASSERT_EQ(c.steps.size(), 2u);
  EXPECT_EQ(c.steps[0].by, "by +3600.000 s");
}

TEST_F(CoverageTest, ASessionThatLostAnOperationIsSeen) {
  Add(EventType::log_start, 0);
  const auto session = [&](std::initializer_list<uint64_t> numbers, uint64_t said) {
    const uint64_t opened = Add(EventType::auth_success, kSecond);
    for (const uint64_t n : numbers) {
      op::Evidence e;
      e.session = opened;
      e.operation = n;
      Add(n % 2 == 0 ? EventType::call_denied : EventType::call_intent, 2 * kSecond, std::move(e));
    }
    op::Evidence e;
    e.session = opened;
    e.count = said;
    Add(EventType::session_close, 3 * kSecond, std::move(e));
  };
  session({1, 2, 3}, 3);
  session({}, 0);
  session({2, 1}, 2);
  end_ = 4 * kSecond;
  EXPECT_TRUE(Read().whole());
  session({1, 3}, 3);
  session({2, 3}, 2);
  session({1}, 2);
  const Coverage c = Read();
  ASSERT_EQ(c.miscounts.size(), 3u) << c.Text();
  EXPECT_EQ(c.miscounts[0].said, 3u);
  EXPECT_EQ(c.miscounts[0].found, 2u);
  EXPECT_FALSE(c.whole());
}

TEST_F(CoverageTest, FailuresOfControlsHaveTheirOperations) {
  Add(EventType::log_start, 0);
  const auto control = [&](EventType type, Nanos at) {
    op::Evidence e;
    e.resource = "witnesses";
    e.detail = type == EventType::control_failed ? "no quorum" : "";
    Add(type, at, std::move(e));
  };
  Add(EventType::auth_success, kSecond, {});  // 1
  Add(EventType::auth_success, kSecond, {});  // 2
  op::Evidence close;
  close.session = 1;
  Add(EventType::session_close, kSecond, std::move(close));
  control(EventType::control_failed, 2 * kSecond);
  Add(EventType::auth_success, 3 * kSecond, {});
  Add(EventType::call_intent, 3 * kSecond);
  Add(EventType::call_denied, 3 * kSecond);
  control(EventType::control_restored, 7 * kSecond);
  Add(EventType::call_intent, 8 * kSecond);
  control(EventType::control_failed, 9 * kSecond);
  end_ = 10 * kSecond;
  const Coverage c = Read();
  ASSERT_EQ(c.failures.size(), 2u);
  EXPECT_EQ(c.failures[0].to - c.failures[0].from, 5 * kSecond);
  EXPECT_EQ(c.failures[0].operations, 1u);
  EXPECT_EQ(c.failures[0].sessions, 2u);  // one was open, one was opened
  EXPECT_EQ(c.failures[0].session_ids.size(), 2u);
  EXPECT_EQ(c.failures[1].to, 0);
  EXPECT_TRUE(c.whole());  // a failed control is no gap of the log
}

TEST(Sample, IsWhatItsDescriptionSays) {
  const auto drawn = SampleIndexes("dice: 3 1 6", 1000, 50);
  ASSERT_EQ(drawn.size(), 50u);
  EXPECT_EQ(SampleIndexes("dice: 3 1 6", 1000, 50), drawn);
  EXPECT_NE(SampleIndexes("dice: 3 1 7", 1000, 50), drawn);
  uint8_t mac[32];
  HMAC(EVP_sha256(), "dice: 3 1 6", 11, reinterpret_cast<const uint8_t*>("0"), 1, mac, nullptr);
  uint64_t first = 0;
  for (int i = 0; i < 8; ++i) first = first << 8 | mac[i];
  EXPECT_EQ(drawn[0], first % 1000);
  auto all = SampleIndexes("x", 20, 100);
  std::ranges::sort(all);
  for (uint64_t i = 0; i < 20; ++i) EXPECT_EQ(all.at(i), i);
  EXPECT_TRUE(SampleIndexes("x", 0, 5).empty());
}

}  // namespace
}  // namespace sallyport::ledger
