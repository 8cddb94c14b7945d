#pragma once

#include <filesystem>
#include <string>

#include "config/outcome.h"

namespace sallyport::config {

/// `policy explain`: why one request would be allowed or not, rule by rule. `as` is read by
/// ReadIdentity. Either `call` (as Ask::Call reads it) or `sql` with `connection`. Exit code 0
/// allow, 3 deny or approve, 2 when the question makes no sense, 78 bad configuration. Never shows
/// argument values.
struct ExplainRequest {
  std::filesystem::path config;
  std::string as, call, sql, connection;
  bool json = false;
};
Outcome ExplainCall(const ExplainRequest& request);

}  // namespace sallyport::config
