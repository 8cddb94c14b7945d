#include "config/what_if.h"

#include <algorithm>
#include <map>
#include <vector>

#include "config/load.h"
#include "config/rejudge.h"
#include "config/what_if_report.h"
#include "ledger/reader.h"
#include "policy/explain.h"

namespace sallyport::config {
namespace {

using op::Verdict;

constexpr int kExitFailed = 1;

/// Denials that the rules alone are the reason of. Behind every other stands what no configuration
/// says: how often somebody called, how they had signed in, whether the log could be written.
bool ByRules(std::string_view reason) {
  constexpr Errc kReasons[] = {Errc::policy_default_deny, Errc::rule_deny,
                               Errc::identity_incomplete, Errc::sql_unparsable,
                               Errc::argument_unclassifiable};
  return std::ranges::any_of(kReasons, [&](Errc code) { return ReasonCode(code) == reason; });
}

/// Counts by name, without making a name for each count.
void Count(std::map<std::string, WhatIfReport::Counts, std::less<>>& rules, std::string_view id,
           uint64_t WhatIfReport::Counts::* member) {
  auto at = rules.find(id);
  if (at == rules.end()) at = rules.emplace(id, WhatIfReport::Counts{}).first;
  ++(at->second.*member);
}

class Comparison {
 public:
  Comparison(Rejudge& judge, size_t examples) : judge_(judge), examples_(examples) {}

  void Add(const RecordedCall& call) {
    ++report_.operations;
    if (call.policy_version == judge_.rules().version()) ++report_.same_rules;
    const Judgement& now = judge_.Of(call);
    std::string unknown(now.unknown);
    if (now.verdict && *now.verdict != Verdict::deny && call.verdict == Verdict::deny &&
        !ByRules(call.reason))
      unknown = "was-refused: " + std::string(call.reason);
    if (!unknown.empty()) {
      ++report_.unknown[unknown];
      return;
    }
    if (now.assumed_public) ++report_.assumed_public;
    for (auto id = call.rules.first(); id; id = id.next())
      Count(report_.rules, id.string().value_or(""), &WhatIfReport::Counts::recorded);
    for (const std::string& id : now.rules) Count(report_.rules, id, &WhatIfReport::Counts::now);
    if (*now.verdict == call.verdict) {
      ++report_.same;
      return;
    }
    ++report_.differ[{call.verdict, *now.verdict}];
    for (auto id = call.rules.first(); id; id = id.next())
      Count(report_.rules, id.string().value_or(""), &WhatIfReport::Counts::differ);
    for (const std::string& id : now.rules) {
      bool counted = false;
      for (auto old = call.rules.first(); old; old = old.next()) counted |= old.string() == id;
      if (!counted) Count(report_.rules, id, &WhatIfReport::Counts::differ);
    }
    if (report_.examples.size() < examples_) AddExample(call, now);
  }

  WhatIfReport Take() { return std::move(report_); }

 private:
  void AddExample(const RecordedCall& call, const Judgement& now) {
    WhatIfReport::Example example{.index = call.index,
                                  .at = call.at,
                                  .connection = std::string(call.connection),
                                  .method = std::string(call.method),
                                  .resource = std::string(call.resource),
                                  .was = call.verdict,
                                  .now = *now.verdict,
                                  .was_reason = std::string(call.reason),
                                  .now_rules = now.rules,
                                  .why = now.why};
    if (*now.verdict != Verdict::allow) example.now_reason = ReasonCode(now.reason);
    if (call.caller != nullptr) {
      const op::Principal& who = call.caller->who;
      example.who = !who.agent.empty() ? who.agent : !who.name.empty() ? who.name : who.subject;
    }
    for (auto id = call.rules.first(); id; id = id.next())
      example.was_rules.emplace_back(id.string().value_or(""));
    report_.examples.push_back(std::move(example));
  }

  Rejudge& judge_;
  const size_t examples_;
  WhatIfReport report_;
};

Result<WhatIfReport> Compare(const WhatIfRequest& request, const Root& root) {
  SALLYPORT_TRY(ledger::LogReader log, ledger::LogReader::Open(request.data_dir));
  SALLYPORT_TRY(const std::unique_ptr<Rejudge> judge, Rejudge::Make(root, request.verb_of));
  RecordedCalls calls(root);
  Comparison comparison(*judge, request.examples);
  SALLYPORT_CHECK(
      log.ForEach(0, log.size(), [&](uint64_t index, std::string_view bytes) -> Result<bool> {
        if (const auto call = calls.Take(index, bytes, request.from, request.to))
          comparison.Add(*call);
        return true;
      }));
  WhatIfReport report = comparison.Take();
  report.version = judge->rules().version();
  report.entries = log.size();
  for (const std::string& id : judge->rules().rule_ids()) report.rules.try_emplace(id);
  if (report.operations == 0)
    return Fail(Errc::not_found, "the log has no operation in this period: nothing was judged");
  return report;
}

}  // namespace

Outcome WhatIf(const WhatIfRequest& request) {
  auto loaded = LoadFile(request.config, {.look_at_secrets = false});
  if (!loaded.root) return {.exit_code = kExitBadConfig, .err = RenderText(loaded.problems)};
  const Result<WhatIfReport> report = Compare(request, *loaded.root);
  if (!report) {
    const bool config = report.error().code == Errc::config_invalid;
    return {.exit_code = config ? kExitBadConfig : kExitFailed,
            .err = "policy whatif: " + report.error().detail + " (" +
                   std::string(ReasonCode(report.error().code)) + ")\n"};
  }
  const bool fails = report->different() > request.allow ||
                     (request.unknown && report->cannot_tell() > *request.unknown);
  return {.exit_code = fails ? kExitNegative : 0,
          .out = request.json ? report->Json() : report->Text()};
}

}  // namespace sallyport::config
