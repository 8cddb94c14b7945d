#pragma once

#include <expected>
#include <nlohmann/json.hpp>
#include <string>

#include "app/verbs.h"

namespace sallyport::app {

/// `sallyport login --device` (RFC 8628): shows a code and waits until a person has confirmed it in
/// a browser elsewhere. What the gate gave out (token, session, expires_at), or, after saying on
/// standard error what went wrong, the exit code. Blocks for ten minutes at most.
std::expected<nlohmann::ordered_json, int> LoginByDevice(const LoginOptions& options,
                                                         const std::string& server,
                                                         const std::string& host);

}  // namespace sallyport::app
