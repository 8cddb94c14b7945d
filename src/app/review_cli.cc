#include "app/review_cli.h"

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "base/clock.h"
#include "ledger/reader.h"
#include "ledger/render.h"
#include "ledger/search.h"
#include "review/judge.h"

namespace sallyport::app {
namespace {

using nlohmann::ordered_json;

int Sorry(const char* command, const Error& error) {
  std::fprintf(stderr, "sallyport review %s: %s (%s)\n", command, error.detail.c_str(),
               std::string(ReasonCode(error.code)).c_str());
  return kFailed;
}

std::string Text(const ordered_json& value) {
  return value.is_string() ? value.get<std::string>() : "";
}

struct Signature {
  std::string at, by, note;
};

/// One day as the log has it: its newest review, and who has signed.
struct Entry {
  uint64_t index = 0;
  std::string made_at, how;
  uint64_t deviations = 0;
  ordered_json facts;
  std::vector<Signature> signatures;
};

/// Of the log, by date. `date`: only this one.
Result<std::map<std::string, Entry>> ReadReviews(const std::string& data_dir,
                                                 const std::string& date) {
  ledger::SearchCriteria criteria;
  criteria.event = "review.";
  criteria.limit = 100'000;
  SALLYPORT_TRY(const auto found, ledger::Search(data_dir, criteria));
  std::map<std::string, Entry> days;
  for (const ledger::Found& one : found) {
    const ordered_json entry = ordered_json::parse(one.json, nullptr, false);
    if (!entry.is_object()) continue;
    const std::string day = Text(entry.value("resource", ordered_json()));
    if (!date.empty() && day != date) continue;
    Entry& kept = days[day];
    if (entry.value("event", ordered_json()) == "review.made") {
      kept.index = one.index;
      kept.made_at = Text(entry.value("time", ordered_json()));
      kept.how = Text(entry.value("detail", ordered_json()));
      kept.facts = entry.value("facts", ordered_json::object());
      const ordered_json count = entry.value("count", ordered_json(0));
      kept.deviations = count.is_number_unsigned() ? count.get<uint64_t>() : 0;
    } else {
      const ordered_json access = entry.value("access", ordered_json::object());
      kept.signatures.push_back(
          {Text(entry.value("time", ordered_json())), Text(access.value("by", ordered_json())),
           Text(access.value("why", access.value("reason", ordered_json())))});
    }
  }
  return days;
}

Result<Nanos> FirstDay(const std::string& data_dir) {
  SALLYPORT_TRY(ledger::LogReader log, ledger::LogReader::Open(data_dir));
  if (log.size() == 0) return Fail(Errc::not_found, "the log is empty");
  SALLYPORT_TRY(const std::string bytes, log.Read(0));
  SALLYPORT_TRY(const ledger::Entry entry, ledger::DecodeEntry(bytes));
  return entry.at / review::kDay * review::kDay;
}

void PrintDay(const std::string& date, const Entry* entry, bool as_json) {
  const char* state = entry == nullptr || entry->made_at.empty() ? "missing"
                      : entry->signatures.empty()                ? "not signed"
                                                                 : "signed";
  if (as_json) {
    ordered_json line{{"date", date}, {"state", state}};
    if (entry != nullptr) {
      line["deviations"] = entry->deviations;
      line["made_at"] = entry->made_at;
      line["entry"] = entry->index;
      ordered_json by = ordered_json::array();
      for (const Signature& one : entry->signatures) by.push_back({{"by", one.by}, {"at", one.at}});
      line["signed"] = std::move(by);
    }
    std::printf("%s\n", line.dump().c_str());
    return;
  }
  std::string who;
  if (entry != nullptr) {
    for (const Signature& one : entry->signatures) who += (who.empty() ? " by " : ", ") + one.by;
  }
  std::printf("%s  %-10s", date.c_str(), state);
  if (entry != nullptr)
    std::printf("  %4llu deviations", static_cast<unsigned long long>(entry->deviations));
  std::printf("%s\n", ledger::Printable(who).c_str());
}

}  // namespace

int RunReviewList(const ReviewOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  const auto days = ReadReviews(dir, "");
  if (!days) return Sorry("list", days.error());
  const auto first = FirstDay(dir);
  if (!first) return Sorry("list", first.error());
  if (const auto noted = NoteReading(dir, "review list", ""); !noted)
    return Sorry("list", noted.error());
  const Nanos today = SystemClock().WallNow() / review::kDay * review::kDay;
  const Nanos from = std::max(*first, today - Nanos(options.days) * review::kDay);
  bool open = false;
  for (Nanos day = from; day < today; day += review::kDay) {
    const std::string date = review::DateOf(day);
    const auto entry = days->find(date);
    const Entry* known = entry == days->end() ? nullptr : &entry->second;
    open |= known == nullptr || known->signatures.empty();
    PrintDay(date, known, options.json);
  }
  return open ? kNegative : kOk;
}

int RunReviewShow(const ReviewOptions& options) {
  const std::string dir = DataDirOrDefault(options.data_dir);
  if (const auto day = review::StartOfDay(options.date); !day) {
    Sorry("show", day.error());
    return kUsage;
  }
  const auto days = ReadReviews(dir, options.date);
  if (!days) return Sorry("show", days.error());
  const auto entry = days->find(options.date);
  if (entry == days->end() || entry->second.made_at.empty())
    return Sorry("show", Error(Errc::not_found, "there is no review of " + options.date));
  if (const auto noted = NoteReading(dir, "review show", options.date); !noted)
    return Sorry("show", noted.error());
  const Entry& day = entry->second;
  if (options.json) {
    ordered_json signatures = ordered_json::array();
    for (const Signature& one : day.signatures)
      signatures.push_back({{"by", one.by}, {"at", one.at}, {"note", one.note}});
    std::printf("%s\n", ordered_json{{"entry", day.index},
                                     {"made_at", day.made_at},
                                     {"how", day.how},
                                     {"review", day.facts},
                                     {"signed", std::move(signatures)}}
                            .dump()
                            .c_str());
    return kOk;
  }
  std::vector<std::string> lines;
  for (const Signature& one : day.signatures)
    lines.push_back(one.by + " at " + one.at + (one.note.empty() ? "" : ": " + one.note));
  std::printf("%s", review::ReviewToMarkdown(day.facts.dump(), lines).c_str());
  return kOk;
}

int RunReviewMake(const ReviewOptions& options) {
  std::string dir = DataDirOrDefault(options.data_dir);
  if (!options.config.empty()) {
    int exit_code = kOk;
    const auto root = LoadOrExplain(options.config, exit_code);
    if (!root) return exit_code;
    dir = root->server.data_dir;
  }
  const auto day = review::StartOfDay(options.date);
  if (!day) {
    Sorry("make", day.error());
    return kUsage;
  }
  if (*day + review::kDay > SystemClock().WallNow())
    return Sorry("make", Error(Errc::request_malformed, options.date + " is not over yet"));
  const std::filesystem::path spool = std::filesystem::path(dir) / "reads";
  std::ofstream out(spool / (options.date + ".review"));
  out.close();
  if (!out) {
    return Sorry("make", Error(Errc::io_failed, "the gateway cannot be asked in " + spool.string() +
                                                    ": is this its data directory?"));
  }
  std::printf("asked: the gateway makes the review of %s within seconds, or when it starts\n",
              options.date.c_str());
  return kOk;
}

int RunReviewSign(const ReviewOptions& options) {
  const char* command = "review sign";
  if (const auto day = review::StartOfDay(options.date); !day) {
    Sorry("sign", day.error());
    return kUsage;
  }
  const auto gate = GateClient::Make(options.gate);
  if (!gate) return Complain(command, gate.error());
  const auto answer =
      gate->Post("/api/v1/reviews/" + options.date + "/signature", {{"note", options.note}});
  if (!answer) return Complain(command, answer.error());
  if (!answer->ok()) return Complain(command, *answer);
  if (options.json) {
    std::printf("%s\n", answer->body.dump().c_str());
    return kOk;
  }
  std::printf("signed: %s\n", options.date.c_str());
  if (const auto warning = answer->body.find("warning"); warning != answer->body.end())
    std::printf("but %s\n", ledger::Printable(Text(*warning)).c_str());
  return kOk;
}

}  // namespace sallyport::app
