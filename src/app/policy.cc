#include <cstdio>

#include "app/exit_code.h"
#include "app/moment.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "config/explain_call.h"
#include "config/policy_cases.h"
#include "config/what_if.h"
#include "mcp/to_operation.h"

namespace sallyport::app {
namespace {

int Show(const config::Outcome& outcome) {
  std::fputs(outcome.out.c_str(), stdout);
  std::fputs(outcome.err.c_str(), stderr);
  return outcome.exit_code;
}

}  // namespace

int RunPolicyTest(const PolicyTestOptions& options) {
  return Show(config::RunPolicyCases(options.config, {options.tests.begin(), options.tests.end()},
                                     options.json));
}

int RunPolicyExplain(const PolicyExplainOptions& options) {
  return Show(config::ExplainCall({.config = options.config,
                                   .as = options.as,
                                   .call = options.call,
                                   .sql = options.sql,
                                   .connection = options.connection,
                                   .json = options.json}));
}

int RunPolicyWhatIf(const PolicyWhatIfOptions& options) {
  const auto from = MomentOption("policy whatif", options.from);
  const auto to = MomentOption("policy whatif", options.to);
  if (!from || !to) return kUsage;
  config::WhatIfRequest request{.config = options.config,
                                .data_dir = options.data_dir,
                                .from = *from,
                                .to = *to,
                                .allow = options.allow,
                                .unknown = {},
                                .examples = options.examples,
                                .json = options.json,
                                .verb_of = [](std::string_view method) {
                                  const auto verb = mcp::VerbOf(method, true);
                                  return verb ? verb : mcp::VerbOf(method, false);
                                }};
  if (options.unknown >= 0) request.unknown = static_cast<uint64_t>(options.unknown);
  const config::Outcome outcome = config::WhatIf(request);
  (void)NoteReading(options.data_dir, "policy whatif", "");  // a copy can be judged too
  return Show(outcome);
}

}  // namespace sallyport::app
