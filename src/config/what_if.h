#pragma once

#include <cstdint>
#include <filesystem>
#include <functional>
#include <optional>
#include <string_view>

#include "base/clock.h"
#include "config/outcome.h"
#include "op/operation.h"

namespace sallyport::config {

/// `policy whatif`: every operation that a log holds, judged again by the rules of `config`.
struct WhatIfRequest {
  std::filesystem::path config, data_dir;
  Nanos from = 0, to = 0;           // of the operations; `to` exclusive, 0: no end
  uint64_t allow = 0;               // so many other verdicts are none too many
  std::optional<uint64_t> unknown;  // and so many that cannot be told; nullopt: any number
  size_t examples = 20;
  bool json = false;
  /// What an MCP method is in the gate's words (mcp::VerbOf).
  std::function<std::optional<op::Verb>(std::string_view method)> verb_of;
};

/// What of them would be allowed, held or denied otherwise. An operation is the same only if what
/// was recorded of it is enough to say so: what a masked value, a cut or something that is in no
/// entry decides cannot be told, and is counted by its reason. Rates, and the masking of columns,
/// are no part of the question. Exit code 0: not more other verdicts than `allow`; 3: more; 1: no
/// log, or no operation in it; 78: bad configuration. Never shows values of arguments. Reads the
/// log as it is (`audit verify` verifies it). docs/policy.md
Outcome WhatIf(const WhatIfRequest& request);

}  // namespace sallyport::config
