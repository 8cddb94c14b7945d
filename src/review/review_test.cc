#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "ledger/entry.h"
#include "ledger/evidence_for_tests.h"
#include "ledger/scratch_for_tests.h"
#include "review/desk.h"

namespace sallyport::review {
namespace {

using Json = nlohmann::ordered_json;

/// 2026-11-01, and what happens there.
constexpr Nanos kFirst = 1'793'491'200'000'000'000;

class SetClock final : public Clock {
 public:
  Nanos WallNow() const override { return now; }
  std::chrono::steady_clock::time_point SteadyNow() const override { return {}; }
  Nanos now = kFirst;
};

/// A log of days that are written as a test says.
class Log {
 public:
  Log() : ledger(*ledger::Ledger::Open(ledger::TestOptions(dir))) {}

  uint64_t Write(op::Evidence e, Nanos at) {
    e.at = at;
    return *ledger->Append(ledger::EncodeEntry(e));
  }
  uint64_t Open(const std::string& name, Nanos at) {
    auto session = ledger::TestSession();
    session->who.name = name;
    session->who.agent.clear();
    op::Evidence e;
    e.type = op::EventType::auth_success;
    e.opened = session.get();
    return Write(e, at);
  }
  void Say(op::EventType type, Nanos at, const std::string& resource = {}, bool ok = true) {
    op::Evidence e;
    e.type = type;
    e.resource = resource;
    e.ok = ok;
    Write(e, at);
  }
  /// A heartbeat each ten seconds would be many; sessions and calls at noon.
  void Day(int day, const std::string& who, int calls, const std::string& tool = "get_order") {
    const Nanos noon = kFirst + day * kDay + kDay / 2;
    const uint64_t session = Open(who, noon);
    for (int i = 0; i < calls; ++i) Write(ledger::TestIntent(session, tool, "{}"), noon + i);
  }

  ledger::Scratch dir;
  std::unique_ptr<ledger::Ledger> ledger;
};

std::string Date(int day) { return DateOf(kFirst + day * kDay); }

bool Lists(const Review& review, const std::string& kind, const std::string& text) {
  for (const Item& item : review.items) {
    if (item.kind == kind && item.text.contains(text)) return true;
  }
  return false;
}

TEST(Day, DatesAreStrict) {
  EXPECT_EQ(*StartOfDay("2026-11-01"), kFirst);
  EXPECT_EQ(DateOf(kFirst - 1), "2026-10-31");
  EXPECT_EQ(DateOf(kFirst + kDay), "2026-11-02");
  for (const char* bad :
       {"", "2026-11-1", "2026-02-30", "2026-11-01T", "+026-11-01", "2026-13-01", "../../etc1"})
    EXPECT_FALSE(StartOfDay(bad)) << bad;
}

TEST(Day, CountsWhatHappenedOnItAndNothingElse) {
  Log log;
  log.Day(0, "ana", 3);
  log.Day(1, "ana", 5);
  log.Say(op::EventType::auth_failure, kFirst + kDay + kDay / 2 + 10);
  log.Say(op::EventType::bypass_found, kFirst + kDay + kDay / 2 + 11, "orders", false);
  log.Say(op::EventType::bypass_found, kFirst + kDay + kDay / 2 + 12, "orders", true);  // gone
  log.Say(op::EventType::log_heartbeat, kFirst + 2 * kDay);  // the first of the next
  const auto day = ReadDay(log.dir.path(), Date(1));
  ASSERT_TRUE(day) << day.error().detail;
  EXPECT_EQ(day->figures.at("operations"), 5u);
  EXPECT_EQ(day->figures.at("failed_logins"), 1u);
  EXPECT_EQ(day->figures.at("bypass_found"), 1u);
  EXPECT_EQ(day->operations_by_person.at("ana"), 5u);
  EXPECT_EQ(day->events.count("log.heartbeat"), 0u);
  EXPECT_TRUE(day->tools.contains("payments/get_order"));
  // From midnight to noon, and from then on, nothing was written.
  EXPECT_GE(day->figures.at("silent_seconds"), 86'000u);
  const auto empty = ReadDay(log.dir.path(), "2026-12-24");
  ASSERT_TRUE(empty);
  EXPECT_EQ(empty->entries, 0u);
  const auto again = DayFromJson(DayToJson(*day));
  ASSERT_TRUE(again);
  EXPECT_EQ(again->figures, day->figures);
  EXPECT_EQ(again->tools, day->tools);
  for (const char* broken : {"", "{", "[]", "{}", R"({"v":1})", R"({"v":1,"date":7})"})
    EXPECT_FALSE(DayFromJson(broken)) << broken;
}

Day Plain(const std::string& date, uint64_t operations) {
  Day day;
  day.date = date;
  day.entries = operations + 1;
  day.figures["operations"] = operations;
  day.operations_by_person["ana"] = operations;
  day.persons = {"ana"};
  day.tools = {"payments/get_order"};
  return day;
}

TEST(Judge, ListsWhatIsUnlikeTheDaysBefore) {
  std::vector<Day> before;
  for (int i = 0; i < 10; ++i) before.push_back(Plain(Date(i), 95 + uint64_t(i)));
  EXPECT_TRUE(Judge(Plain(Date(10), 101), before).items.empty());
  EXPECT_TRUE(Judge(Plain(Date(10), 129), before).items.empty());  // √100 thrice
  const Review high = Judge(Plain(Date(10), 140), before);
  EXPECT_TRUE(Lists(high, "figure", "operations that were allowed: 140, usually 99.5"));
  EXPECT_TRUE(Lists(high, "person", "ana: operations 140"));
  EXPECT_EQ(high.items[1].person, "ana");
  // Less than usual is unlike, too, of a figure; a person may be on holiday.
  Day quiet = Plain(Date(10), 0);
  const Review low = Judge(quiet, before);
  EXPECT_TRUE(Lists(low, "figure", "operations that were allowed: 0"));
  EXPECT_FALSE(Lists(low, "person", "ana"));
  Day fresh = Plain(Date(10), 100);
  fresh.persons.insert("eve");
  fresh.agents.insert("bot");
  fresh.tools.insert("payments/refund");
  const Review found = Judge(fresh, before);
  EXPECT_EQ(found.items.size(), 3u);
  EXPECT_TRUE(Lists(found, "new", "tool payments/refund"));
  // With fewer than seven days no figure is judged; names are, from one day on.
  before.resize(6);
  EXPECT_TRUE(Judge(Plain(Date(10), 9000), before).items.empty());
  EXPECT_EQ(Judge(fresh, before).items.size(), 3u);
  EXPECT_TRUE(Judge(fresh, {}).items.empty());
}

TEST(Judge, AlwaysListsNotesAndCutsHonestly) {
  Day day = Plain(Date(3), 1);
  for (int i = 0; i < 400; ++i)
    day.notes.push_back({"control", "state failed: disk " + std::to_string(i), uint64_t(i)});
  const Review review = Judge(day, {});
  EXPECT_EQ(review.items.size(), kMostItems);
  EXPECT_EQ(review.left_out, 400 - kMostItems);
  const std::string facts = ReviewToJson(review);
  EXPECT_LT(facts.size(), 30'000u);
  const Json root = Json::parse(facts);
  EXPECT_EQ(root["deviations"].size() + root["left_out"].get<uint64_t>(), 400u);
  EXPECT_EQ(root["deviations"][0]["n"], 1);
}

TEST(Judge, MarkdownCannotBeWrittenIntoByNames) {
  Day day = Plain(Date(3), 1);
  day.notes.push_back({"new", "eve | # <script>\x1b[2J\n* signed", 7});
  const std::string text = ReviewToMarkdown(ReviewToJson(Judge(day, {})), {"bob | *ok*"});
  EXPECT_TRUE(text.contains("1. new: eve \\| \\# \\<script\\>"));
  EXPECT_FALSE(text.contains('\x1b'));
  EXPECT_FALSE(text.contains("\n\\* signed"));
  EXPECT_TRUE(text.contains("bob \\| \\*ok\\*"));
  EXPECT_TRUE(ReviewToMarkdown("nonsense", {}).contains("cannot be read"));
}

struct Made {
  Log log;
  SetClock clock;
  std::vector<op::Evidence> recorded;
  bool broken = false;
  Desk desk{{.data_dir = log.dir.path(),
             .config = {.who = {"group:audit"}},
             .record = [this](op::Evidence e) -> Result<> {
               if (broken) return Fail(Errc::ledger_unavailable);
               e.access = nullptr;
               recorded.push_back(std::move(e));
               return {};
             },
             .seal = [](const std::string& json) { return mask::Seal::Of(json); },
             .clock = clock}};
};

TEST(Desk, MakesWhatIsDueAndMakesUpWhatWasMissed) {
  Made made;
  made.log.Day(0, "ana", 1);
  made.log.Day(1, "ana", 1);
  made.log.Day(2, "ana", 1);
  made.clock.now = kFirst + 2 * kDay + kDay / 8;  // 03:00: of the day before nothing is due yet
  EXPECT_EQ(*made.desk.Due(), std::vector<std::string>{Date(0)});
  made.clock.now = kFirst + 3 * kDay + kDay / 4;  // 06:00
  EXPECT_EQ(*made.desk.Due(), (std::vector<std::string>{Date(0), Date(1), Date(2)}));
  made.broken = true;
  EXPECT_FALSE(made.desk.Make(Date(0), "daily"));
  EXPECT_EQ(made.desk.Due()->size(), 3u);  // what was not recorded was not made
  made.broken = false;
  for (const std::string& date : *made.desk.Due()) ASSERT_TRUE(made.desk.Make(date, "daily"));
  EXPECT_TRUE(made.desk.Due()->empty());
  ASSERT_EQ(made.recorded.size(), 3u);
  EXPECT_EQ(made.recorded[2].resource, Date(2));
  const Json facts = Json::parse(made.recorded[2].facts.get());
  EXPECT_EQ(facts["figures"]["operations"], 1);
  EXPECT_EQ(facts["compared_days"], 2);
  EXPECT_FALSE(made.desk.Make(Date(3), "daily"));       // not over
  EXPECT_FALSE(made.desk.Make("2026-10-01", "daily"));  // before the log
}

TEST(Desk, IsSignedByAPersonWhoMay) {
  Made made;
  made.log.Day(0, "ana", 1);
  made.log.Day(1, "eve", 1);
  made.clock.now = kFirst + 2 * kDay + kDay / 2;
  ASSERT_TRUE(made.desk.Make(Date(1), "daily"));
  op::Principal auditor, eve, bot;
  auditor.name = "aud";
  auditor.groups = {"audit"};
  eve.name = "eve";
  eve.groups = {"audit"};
  bot.agent = "bot";
  bot.groups = {"audit"};
  EXPECT_TRUE(made.desk.MaySign(auditor));
  EXPECT_FALSE(made.desk.MaySign(bot));
  EXPECT_FALSE(made.desk.MaySign(op::Principal{}));
  EXPECT_FALSE(made.desk.Sign(auditor, Date(0), {}));  // there is none
  EXPECT_FALSE(made.desk.Sign(auditor, "../state", {}));
  made.clock.now += 5 * kDay;
  EXPECT_EQ(made.desk.overdue(), 1u);
  const auto plain = made.desk.Sign(auditor, Date(1), mask::Seal::Of("seen"));
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->own_deviation);
  EXPECT_TRUE(made.desk.Sign(eve, Date(1), {})->own_deviation);  // she was new that day
  EXPECT_EQ(made.desk.overdue(), 0u);
  EXPECT_EQ(made.recorded.back().resource, Date(1));
  made.broken = true;
  EXPECT_FALSE(made.desk.Sign(auditor, Date(1), {}));
}

}  // namespace
}  // namespace sallyport::review
