#include "config/policy_cases.h"

#include <algorithm>
#include <set>

#include "config/case_file.h"
#include "config/load.h"
#include "mask/masker.h"
#include "policy/explain.h"
#include "policy/rules.h"

namespace sallyport::config {
namespace {

using policy::VerdictName;

struct CaseResult {
  const PolicyCase* test;
  op::Decision decision;
  std::vector<std::string> failures;
};

struct Runner {
  std::shared_ptr<const policy::RuleSet> rules;
  std::shared_ptr<const mask::Masker> masker;
  std::set<std::string> fired;

  CaseResult Run(const PolicyCase& test);
  void CheckReply(const PolicyCase& test, CaseResult& result) const;
};

std::string Join(std::vector<std::string> list) {
  std::ranges::sort(list);
  std::string out;
  for (const auto& item : list) out.append(out.empty() ? "" : ", ").append(item);
  return out.empty() ? "none" : out;
}

void Runner::CheckReply(const PolicyCase& test, CaseResult& result) const {
  std::string masked;
  mask::Tally tally;
  std::vector<mask::Finding> findings;
  auto changed = masker->MaskJson(*test.reply, {}, masked, tally, &findings);
  if (!changed) {
    result.failures.push_back("the reply cannot be masked: " + changed.error().detail);
    return;
  }
  const std::string& seen = *changed ? masked : *test.reply;
  for (const auto& text : test.expect.reply_lacks) {
    if (seen.find(text) != std::string::npos)
      result.failures.emplace_back("the masked reply still has a text of reply_lacks");
  }
  for (const auto& text : test.expect.reply_contains) {
    if (seen.find(text) == std::string::npos)
      result.failures.emplace_back("the masked reply does not have a text of reply_contains");
  }
  for (const auto& [what, wanted] : test.expect.masked) {
    uint64_t count = what == "pan"     ? tally.pan
                     : what == "sad"   ? tally.sad
                     : what == "regex" ? tally.regex
                                       : 0;
    if (what != "pan" && what != "sad" && what != "regex") {
      count = static_cast<uint64_t>(std::ranges::count(findings, what, &mask::Finding::detector));
    }
    if (count == wanted) continue;
    result.failures.push_back("masked " + std::to_string(count) + " " + what + ", expected " +
                              std::to_string(wanted));
  }
}

CaseResult Runner::Run(const PolicyCase& test) {
  CaseResult result{.test = &test, .decision = rules->Decide(test.who, test.ask->operation())};
  const op::Decision& d = result.decision;
  const Expectation& expect = test.expect;
  fired.insert(d.rules.begin(), d.rules.end());
  auto differs = [&](std::string_view what, std::string_view got, std::string_view wanted) {
    if (got == wanted) return;
    result.failures.push_back(std::string(what) + " is " + std::string(got) + ", expected " +
                              std::string(wanted));
  };
  if (expect.decision)
    differs("the decision", VerdictName(d.effect), VerdictName(*expect.decision));
  if (expect.rules) differs("the deciding rule", Join(d.rules), Join(*expect.rules));
  if (expect.approval)
    differs("the approval flow", d.approval.empty() ? "none" : d.approval, *expect.approval);
  if (expect.reason)
    differs("the reason", d.effect == op::Verdict::allow ? "none" : ReasonCode(d.reason),
            *expect.reason);
  if (!result.failures.empty()) result.failures.push_back(d.why);
  if (test.reply) CheckReply(test, result);
  return result;
}

struct Report {
  std::vector<CaseResult> results;
  std::vector<std::string> never;  // rules that decided in no case
  size_t rules = 0;
  size_t failed = 0;
};

std::string AsText(const Report& report) {
  std::string out;
  for (const auto& r : report.results) {
    out += (r.failures.empty() ? "ok      " : "FAILED  ") + r.test->name;
    if (!r.failures.empty()) out += "  (" + r.test->file + ":" + std::to_string(r.test->line) + ")";
    out += "\n";
    for (const auto& failure : r.failures) out += "        " + failure + "\n";
  }
  out += std::to_string(report.results.size() - report.failed) + " passed, " +
         std::to_string(report.failed) + " failed; " +
         std::to_string(report.rules - report.never.size()) + " of " +
         std::to_string(report.rules) + " rules decided a test";
  if (!report.never.empty()) out += "; never: " + Join(report.never);
  return out + "\n";
}

std::string AsJson(const Report& report) {
  auto list = [](const std::vector<std::string>& items) {
    std::string out = "[";
    for (const auto& item : items) out += (out.size() > 1 ? "," : "") + json::Quote(item);
    return out + "]";
  };
  std::string out = R"({"v":1,"passed":)" + std::to_string(report.results.size() - report.failed) +
                    R"(,"failed":)" + std::to_string(report.failed) + R"(,"tests":[)";
  for (const auto& r : report.results) {
    if (out.back() != '[') out += ",";
    out += R"({"name":)" + json::Quote(r.test->name) + R"(,"file":)" + json::Quote(r.test->file) +
           R"(,"line":)" + std::to_string(r.test->line) + R"(,"ok":)" +
           (r.failures.empty() ? "true" : "false") + R"(,"decision":)" +
           json::Quote(VerdictName(r.decision.effect)) + R"(,"rules":)" + list(r.decision.rules) +
           R"(,"failures":)" + list(r.failures) + "}";
  }
  return out + R"(],"coverage":{"rules":)" + std::to_string(report.rules) + R"(,"decided":)" +
         std::to_string(report.rules - report.never.size()) + R"(,"never":)" + list(report.never) +
         "}}\n";
}

std::vector<std::filesystem::path> FilesOf(const std::vector<std::filesystem::path>& tests) {
  std::vector<std::filesystem::path> files;
  for (const auto& path : tests) {
    std::error_code error;
    if (!std::filesystem::is_directory(path, error)) {
      files.push_back(path);
      continue;
    }
    size_t begin = files.size();
    for (const auto& entry : std::filesystem::directory_iterator(path, error)) {
      auto extension = entry.path().extension();
      if (extension == ".yaml" || extension == ".yml") files.push_back(entry.path());
    }
    std::sort(files.begin() + static_cast<std::ptrdiff_t>(begin), files.end());
  }
  return files;
}

}  // namespace

Outcome RunPolicyCases(const std::filesystem::path& config,
                       const std::vector<std::filesystem::path>& tests, bool json) {
  auto loaded = LoadFile(config, {.look_at_secrets = false});
  auto bad = [&](const std::vector<Problem>& problems) {
    return Outcome{.exit_code = kExitBadConfig,
                   .out = json ? RenderJson(problems, {}) : "",
                   .err = json ? "" : RenderText(problems)};
  };
  if (!loaded.root) return bad(loaded.problems);
  Runner runner;
  auto rules = policy::RuleSet::Compile(loaded.root->policies);
  // The key only shapes tokens: no test can depend on the production key, which is not read here.
  auto masker =
      mask::Masker::Make(loaded.root->masking.detectors, Secret("the key of policy tests"));
  for (const Error* error :
       {rules ? nullptr : &rules.error(), masker ? nullptr : &masker.error()}) {
    if (error != nullptr)
      return bad({{config.string(), 0, 0, kCfgBadValue, Severity::error, error->detail, ""}});
  }
  runner.rules = *rules;
  runner.masker = *masker;

  Context context;
  context.look_at_secrets = false;
  std::vector<PolicyCase> cases;
  for (const auto& file : FilesOf(tests)) {
    context.file = file.string();
    auto text = ReadTextFile(file, 1 << 20, context.problems);
    if (!text) continue;
    size_t before = context.problems.size();
    Node tree = ReadYaml(*text, context.file, context.problems);
    if (context.problems.size() != before) continue;
    std::ranges::move(ReadCases(context, *loaded.root, tree), std::back_inserter(cases));
  }
  if (!context.problems.empty()) return bad(context.problems);

  Report report{.rules = runner.rules->size()};
  for (const auto& test : cases) {
    report.results.push_back(runner.Run(test));
    report.failed += report.results.back().failures.empty() ? 0 : 1;
  }
  for (const auto& id : runner.rules->rule_ids()) {
    if (!runner.fired.contains(id)) report.never.push_back(id);
  }
  return {.exit_code = report.failed == 0 ? 0 : kExitNegative,
          .out = json ? AsJson(report) : AsText(report)};
}

}  // namespace sallyport::config
