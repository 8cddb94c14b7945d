#include "export/exporter.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <set>

#include "export/log_for_tests.h"
#include "obs/log.h"

namespace sallyport::exporting {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

/// A receiver that remembers what it got, and fails as the test says.
struct Receiving {
  std::mutex mutex;
  std::vector<uint64_t> got;                         // indexes, in the order of arrival
  int fail_before = 0, fail_after = 0, swallow = 0;  // so many times
  size_t kept = 0;  // of `got`: confirmed
  uint64_t resend = 0;
  std::set<uint64_t> poison;
  size_t window = 1;

  std::vector<uint64_t> Got() {
    std::lock_guard lock(mutex);
    return got;
  }
};

class FakeDelivery final : public Delivery {
 public:
  explicit FakeDelivery(Receiving& r) : r_(r) {}
  Result<std::vector<Refused>> Send(const Batch& batch) override {
    std::lock_guard lock(r_.mutex);
    if (r_.fail_before-- > 0) return Fail(Errc::upstream_unreachable, "down");
    auto refused = PostDividing(batch.items, [&](std::span<const Item> items) -> Result<Answer> {
      for (const Item& item : items) {
        if (r_.poison.contains(item.index)) return Answer{Answer::Kind::refused, "400"};
      }
      for (const Item& item : items) r_.got.push_back(item.index);
      return Answer{};
    });
    if (r_.fail_after-- > 0) return Fail(Errc::upstream_closed, "cut");
    if (refused) end_ = batch.end();
    return refused;
  }
  Result<uint64_t> Confirmed() override {
    std::lock_guard lock(r_.mutex);
    if (end_ > 0 && r_.swallow-- > 0) {
      r_.got.resize(r_.kept);  // it had them, and has lost them
      return Fail(Errc::upstream_timeout, "no acknowledgement");
    }
    r_.kept = r_.got.size();
    return end_;
  }
  uint64_t Restart(uint64_t cursor) override {
    end_ = 0;
    return cursor - std::min(cursor, r_.resend);
  }
  size_t window() const override { return r_.window; }

 private:
  Receiving& r_;
  uint64_t end_ = 0;
};

struct ExporterTest : testing::Test {
  TestLog log;
  Receiving receiving;

  ExporterTest() { obs::SetLevel("off"); }
  ~ExporterTest() override { obs::SetLevel("info"); }

  std::unique_ptr<Exporter> Start(bool from_now = false) {
    Exporter::Options options;
    options.name = "siem";
    options.data_dir = log.dir.path();
    options.style = {.format = Format::json, .version = "1"};
    options.batch_events = 10;
    options.from_now = from_now;
    options.poll = milliseconds(5);
    options.longest_pause = milliseconds(300);
    return std::make_unique<Exporter>(
        options, [this](const std::stop_token&) -> Result<std::unique_ptr<Delivery>> {
          return std::make_unique<FakeDelivery>(receiving);
        });
  }
  void AppendSome(int n) {
    for (int i = 0; i < n; ++i) log.Call();
    log.Publish();
  }
  static bool Until(const std::function<bool()>& holds) {
    for (int i = 0; i < 2'000 && !holds(); ++i) std::this_thread::sleep_for(milliseconds(5));
    return holds();
  }
  /// Everything below `end` arrived, for the first time in order.
  void ExpectWhole(uint64_t end) {
    uint64_t next = 0;
    for (const uint64_t index : receiving.Got()) {
      EXPECT_LE(index, next);
      if (index == next) ++next;
    }
    EXPECT_EQ(next, end);
  }
};

TEST_F(ExporterTest, DeliversAllInOrderAndGoesOnAfterARestart) {
  AppendSome(50);
  auto exporter = Start();
  EXPECT_TRUE(Until([&] { return exporter->status().confirmed == 100; }));
  EXPECT_FALSE(exporter->status().waiting_since);
  exporter->Stop(milliseconds(1'000));
  exporter.reset();
  AppendSome(5);
  exporter = Start();
  EXPECT_TRUE(Until([&] { return exporter->status().confirmed == 110; }));
  ExpectWhole(110);
  EXPECT_EQ(receiving.Got().size(), 110u);  // nothing twice: the cursor was kept
}

TEST_F(ExporterTest, FailuresLoseNothing) {
  receiving.fail_before = 2, receiving.fail_after = 2, receiving.swallow = 1;
  AppendSome(20);
  auto exporter = Start();
  EXPECT_TRUE(Until([&] { return exporter->status().confirmed == 40; }));
  ExpectWhole(40);
  EXPECT_EQ(exporter->status().failures, 5u);
  EXPECT_TRUE(exporter->status().trouble.empty());
}

TEST_F(ExporterTest, WhatIsUnderWayIsNotConfirmed) {
  receiving.swallow = 1'000'000, receiving.window = 4;
  AppendSome(20);
  auto exporter = Start();
  EXPECT_TRUE(Until([&] { return exporter->status().failures > 2; }));
  const Status status = exporter->status();
  EXPECT_EQ(status.confirmed, 0u);
  EXPECT_EQ(status.waiting_since, 1'795'200'000'000'000'000);
  EXPECT_THAT(status.trouble, HasSubstr("acknowledgement"));
}

TEST_F(ExporterTest, ARefusedEntryIsParkedAndTheRestGoesOn) {
  receiving.poison = {3, 17};
  AppendSome(20);
  auto exporter = Start();
  EXPECT_TRUE(Until([&] { return exporter->status().confirmed == 40; }));
  EXPECT_EQ(exporter->status().parked, 2u);
  const auto got = receiving.Got();
  EXPECT_EQ(std::set<uint64_t>(got.begin(), got.end()).size(), 38u);
  const std::string parked = log.dir.ReadText("state/exports/siem.parked");
  EXPECT_THAT(parked, HasSubstr("\"index\":3,"));
  EXPECT_THAT(parked, HasSubstr("\"index\":17,"));
}

TEST_F(ExporterTest, AReceiverThatRefusesEverythingIsDownNotRight) {
  for (uint64_t i = 0; i < 40; ++i) receiving.poison.insert(i);
  AppendSome(20);
  auto exporter = Start();
  EXPECT_TRUE(Until([&] { return exporter->status().failures > 2; }));
  EXPECT_EQ(exporter->status().parked, 0u);
  EXPECT_EQ(exporter->status().confirmed, 0u);
  {
    std::lock_guard lock(receiving.mutex);
    receiving.poison.clear();
  }
  EXPECT_TRUE(Until([&] { return exporter->status().confirmed == 40; }));
  ExpectWhole(40);
}

TEST_F(ExporterTest, ANewExportMayBeginWithNow) {
  AppendSome(5);
  auto exporter = Start(true);
  EXPECT_TRUE(Until([&] { return exporter->status().confirmed == 10; }));
  AppendSome(1);
  EXPECT_TRUE(Until([&] { return exporter->status().confirmed == 12; }));
  EXPECT_THAT(receiving.Got(), testing::ElementsAre(10, 11));
}

TEST_F(ExporterTest, ACursorThatDoesNotFitTheLogSendsNothing) {
  AppendSome(5);
  Start()->Stop(milliseconds(2'000));
  const std::string kept = log.dir.ReadText("state/exports/siem.cursor");
  EXPECT_THAT(kept, HasSubstr("\"next\":10,"));
  const auto with = [&](const std::string& from, const std::string& to) {
    std::string text = kept;
    return text.replace(text.find(from), from.size(), to);
  };
  const size_t leaf = kept.find("\"leaf\":\"") + 8;
  for (const std::string& bad :
       {std::string(), std::string("{}"), std::string("garbage"),
        with("\"next\":10", "\"next\":11"), with("\"next\":10", "\"next\":-1"),
        with("\"next\":10", "\"next\":9"), with("gate.example.com/test", "other.example.com/test"),
        std::string(kept).replace(leaf, 1, kept[leaf] == 'A' ? "B" : "A")}) {
    log.dir.WriteText("state/exports/siem.cursor", bad);
    auto exporter = Start();
    EXPECT_TRUE(Until([&] { return exporter->status().failures > 0; })) << bad;
    EXPECT_THAT(exporter->status().trouble, HasSubstr("siem.cursor")) << bad;
    exporter.reset();
    EXPECT_EQ(receiving.Got().size(), 10u);
    EXPECT_EQ(log.dir.ReadText("state/exports/siem.cursor"), bad);
  }
}

TEST_F(ExporterTest, AReceiverThatConfirmsNothingGetsTheLastOnesAgain) {
  receiving.resend = 4;
  AppendSome(5);
  Start()->Stop(milliseconds(2'000));
  Start()->Stop(milliseconds(2'000));
  EXPECT_THAT(receiving.Got(), testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 6, 7, 8, 9));
}

}  // namespace
}  // namespace sallyport::exporting
