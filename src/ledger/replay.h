#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ledger/search.h"

namespace sallyport::ledger {

enum class ReplayFormat { text, jsonl, cast };

/// All events of session "s_…" in order, and those of other sessions with a trace id of it: what it
/// caused, and what caused it. not_found if the log does not know it.
Result<std::vector<Found>> ReplaySession(const std::filesystem::path& data_dir,
                                         const std::string& session);

/// What the caller asked, what was decided and why, what was masked, and what the caller saw, as a
/// timeline for people, as the JSON lines of a search, or as the timeline at the pace at which it
/// happened (asciicast v2, docs.asciinema.org/manual/asciicast/v2). Safe to print on a terminal.
Result<std::string> RenderReplay(const std::filesystem::path& data_dir, const std::string& session,
                                 ReplayFormat format);
/// `events` as ReplaySession gives them, perhaps with the recordings that they name.
Result<std::string> RenderReplay(const std::vector<Found>& events, const std::string& session,
                                 ReplayFormat format);

}  // namespace sallyport::ledger
