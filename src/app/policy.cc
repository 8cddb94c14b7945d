#include <cstdio>

#include "app/exit_code.h"
#include "app/verbs.h"
#include "config/explain_call.h"
#include "config/policy_cases.h"

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

}  // namespace sallyport::app
