#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/ask.h"
#include "config/fields.h"
#include "op/decision.h"
#include "op/session.h"

namespace sallyport::config {

/// What one case of a policy test expects; what is not set is not looked at.
struct Expectation {
  std::optional<op::Verdict> decision;
  std::optional<std::vector<std::string>> rules;  // exactly these, in any order
  std::optional<std::string> approval, reason;
  std::vector<std::string> reply_lacks, reply_contains;
  std::map<std::string, uint64_t> masked;  // by detector name or kind
};

struct PolicyCase {
  std::string name;
  std::string file;
  int line = 0;
  op::Principal who;
  std::unique_ptr<Ask> ask;
  std::optional<std::string> reply;  // JSON
  Expectation expect;
};

/// Reads a file of policy tests. Problems go to `context`; the cases that could be read are
/// returned.
std::vector<PolicyCase> ReadCases(Context& context, const Root& root, const Node& tree);

/// A YAML value as JSON text: quoted text is a string, 40, true and null are what they look like.
std::string ToJson(const Node& node);

}  // namespace sallyport::config
