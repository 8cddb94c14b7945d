#pragma once

#include <filesystem>
#include <string>

#include "app/recorded.h"
#include "base/result.h"

namespace sallyport::app {

/// A session as one HTML file that works without a network and verifies itself in the browser: the
/// entries as they are in the log, their proofs and the signed head; web/replay.js checks them
/// before it shows them. Recordings go in sealed, with the key of their session, where `recorded` has
/// the keys; the browser compares them with their entries and opens them. not_found: no such session, or no published head covers it yet.
Result<std::string> ReplayPage(const std::filesystem::path& data_dir, const std::string& session,
                               Recorded& recorded);

}  // namespace sallyport::app
