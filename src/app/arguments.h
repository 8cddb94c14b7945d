#pragma once

#include <CLI/CLI.hpp>
#include <functional>
#include <string>

namespace sallyport::app {

/// The command that was chosen, ready to run.
using Chosen = std::function<int()>;

/// A command with its example, which --help shows.
inline CLI::App* Command(CLI::App& parent, const char* name, const char* what,
                         const char* example) {
  CLI::App* command = parent.add_subcommand(name, what);
  command->footer(std::string("Example:\n  ") + example);
  return command;
}

/// `login`, `logout`, `whoami`, `sessions …`
void AddPeopleVerbs(CLI::App& root, Chosen& chosen);

/// `mcp config` and `connect`
void AddClientVerbs(CLI::App& root, Chosen& chosen);

/// `review …`
void AddReview(CLI::App& root, Chosen& chosen);

/// `audit bypass`, and what else looks at a period as a whole
void AddReviewVerbs(CLI::App& audit, Chosen& chosen);

/// `approvals …`, `requests …` and `passkeys …`
void AddApprovalVerbs(CLI::App& root, Chosen& chosen);

/// `policy whatif` and `policy log`
void AddPolicyHistory(CLI::App& policy, Chosen& chosen);

/// `recordings …`
void AddRecordingVerbs(CLI::App& root, Chosen& chosen);

/// `evidence …`
void AddEvidenceVerbs(CLI::App& root, Chosen& chosen);

}  // namespace sallyport::app
