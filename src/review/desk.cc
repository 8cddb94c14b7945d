#include "review/desk.h"

#include <algorithm>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/bytes.h"
#include "base/ids.h"
#include "ledger/entry.h"
#include "ledger/reader.h"
#include "ledger/tree.h"

namespace sallyport::review {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

constexpr int kMadeUp = 31;  // days, of which a missed review is made later

std::string Digest(const std::string& text) { return HexEncode(ledger::Sha256(text)); }

Result<std::string> ReadFile(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return Fail(Errc::not_found, file.string());
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

/// Whole or not at all.
Result<> WriteFile(const fs::path& file, const std::string& text) {
  const fs::path temporary = file.parent_path() / ("." + NewHandle(9));
  std::ofstream out(temporary, std::ios::binary);
  out << text;
  out.close();
  std::error_code error;
  if (out) fs::rename(temporary, file, error);
  if (out && !error) return {};
  fs::remove(temporary, error);
  return Fail(Errc::io_failed, "cannot write " + file.string());
}

bool Matches(const op::Principal& who, const std::string& one) {
  if (one.starts_with("group:"))
    return std::ranges::find(who.groups, one.substr(6)) != who.groups.end();
  return one == "user:" + who.name;
}

}  // namespace

Desk::Desk(Options options) : options_(std::move(options)), config_(options_.config) {}

void Desk::Reload(Config config) {
  const std::lock_guard lock(mutex_);
  config_ = std::move(config);
}

fs::path Desk::FileOf(const std::string& date, const char* what) const {
  return options_.data_dir / "reviews" / (date + what);
}

Result<Nanos> Desk::FirstDay() const {
  SALLYPORT_TRY(ledger::LogReader log, ledger::LogReader::Open(options_.data_dir));
  if (log.size() == 0) return Fail(Errc::not_found, "the log is empty");
  SALLYPORT_TRY(const std::string bytes, log.Read(0));
  SALLYPORT_TRY(const ledger::Entry entry, ledger::DecodeEntry(bytes));
  return entry.at / kDay * kDay;
}

Result<std::vector<std::string>> Desk::Due() const {
  Config config;
  {
    const std::lock_guard lock(mutex_);
    config = config_;
  }
  std::vector<std::string> due;
  if (!config.on) return due;
  const Nanos now = options_.clock.WallNow();
  const Nanos at = std::chrono::nanoseconds(config.at).count();
  // The newest day whose review is to be there by now.
  const Nanos newest = (now - at) / kDay * kDay - kDay;
  if (fs::exists(FileOf(DateOf(newest), ".made"))) return due;  // nearly always, and cheap
  SALLYPORT_TRY(const Nanos first, FirstDay());
  for (Nanos day = std::max(first, newest - (kMadeUp - 1) * kDay); day <= newest; day += kDay) {
    if (!fs::exists(FileOf(DateOf(day), ".made"))) due.push_back(DateOf(day));
  }
  return due;
}

/// What was counted of a day, kept or read now.
Result<Day> Desk::Counted(const std::string& date, Nanos first) const {
  SALLYPORT_TRY(const Nanos start, StartOfDay(date));
  if (start < first) return Day{.date = date};
  if (const auto kept = ReadFile(FileOf(date, ".day"))) {
    if (auto day = DayFromJson(*kept); day && day->date == date) return day;
  }
  SALLYPORT_TRY(Day day, ReadDay(options_.data_dir, date));
  SALLYPORT_CHECK(WriteFile(FileOf(date, ".day"), DayToJson(day)));
  return day;
}

Result<> Desk::Make(const std::string& date, const std::string& how) {
  SALLYPORT_TRY(const Nanos start, StartOfDay(date));
  if (start + kDay > options_.clock.WallNow())
    return Fail(Errc::request_malformed, date + " is not over yet");
  SALLYPORT_TRY(const Nanos first, FirstDay());
  if (start < first) return Fail(Errc::not_found, "the log begins after " + date);
  std::error_code error;
  fs::create_directory(options_.data_dir / "reviews", error);
  fs::remove(FileOf(date, ".day"), error);  // counted anew: a review is of what the log says now
  std::vector<Day> before;
  for (uint32_t i = 1; i <= kBaselineDays; ++i) {
    SALLYPORT_TRY(Day day, Counted(DateOf(start - Nanos(i) * kDay), first));
    before.push_back(std::move(day));
  }
  SALLYPORT_TRY(Day day, Counted(date, first));
  const Review review = Judge(std::move(day), before);
  op::Evidence evidence;
  evidence.type = op::EventType::review_made;
  evidence.resource = date;
  evidence.detail = how;
  evidence.count = review.items.size() + review.left_out;
  evidence.facts = options_.seal(ReviewToJson(review));
  const std::string facts = evidence.facts.get();
  SALLYPORT_CHECK(options_.record(std::move(evidence)));
  return WriteFile(FileOf(date, ".made"), facts);
}

bool Desk::names_signers() const {
  const std::lock_guard lock(mutex_);
  return !config_.who.empty();
}

bool Desk::MaySign(const op::Principal& who) const {
  if (!who.agent.empty()) return false;
  const std::lock_guard lock(mutex_);
  return std::ranges::any_of(config_.who,
                             [&](const std::string& one) { return Matches(who, one); });
}

Result<Desk::Signed> Desk::Sign(const op::Principal& who, const std::string& date,
                                MaskedText note) {
  SALLYPORT_TRY(const Nanos start, StartOfDay(date));
  (void)start;
  const auto facts = ReadFile(FileOf(date, ".made"));
  if (!facts) return Fail(Errc::not_found, "there is no review of " + date);
  op::AccessEvidence access;
  access.session = who.session;
  access.whom = &who;
  access.by = who.name.empty() ? who.subject : who.name;
  access.why = std::move(note);
  op::Evidence evidence;
  evidence.type = op::EventType::review_signed;
  evidence.resource = date;
  evidence.access = &access;
  evidence.facts = options_.seal(Json{{"date", date}, {"review_sha256", Digest(*facts)}}.dump());
  SALLYPORT_CHECK(options_.record(std::move(evidence)));
  SALLYPORT_CHECK(WriteFile(FileOf(date, ".signed"), Digest(*facts)));
  Signed done;
  const Json root = Json::parse(*facts, nullptr, false);
  if (root.is_object()) {
    for (const auto& item : root.value("deviations", Json::array())) {
      const Json person = item.value("person", Json());
      done.own_deviation |= person.is_string() && person.get<std::string>() == access.by;
    }
  }
  return done;
}

uint64_t Desk::overdue() const {
  uint32_t days = 0;
  {
    const std::lock_guard lock(mutex_);
    if (!config_.on) return 0;
    days = config_.sign_within_days;
  }
  const Nanos latest = options_.clock.WallNow() - Nanos(days + 1) * kDay;
  uint64_t overdue = 0;
  std::error_code error;
  for (const auto& file : fs::directory_iterator(options_.data_dir / "reviews", error)) {
    const std::string date = file.path().stem();
    if (file.path().extension() != ".made") continue;
    const auto start = StartOfDay(date);
    if (start && *start < latest && !fs::exists(FileOf(date, ".signed"))) ++overdue;
  }
  return overdue;
}

}  // namespace sallyport::review
