#pragma once

#include <optional>
#include <string>

#include "base/clock.h"

namespace sallyport::app {

/// RFC 3339 in UTC, "2026-11-21" or "2026-11-21T12:00:00.123456789Z" as a search prints it; nothing
/// for anything else.
std::optional<Nanos> ParseMoment(const std::string& text);

/// The same for an option; says on standard error what is wrong with it. Empty text: 0.
std::optional<Nanos> MomentOption(const char* command, const std::string& text);

}  // namespace sallyport::app
