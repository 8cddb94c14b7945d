#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/result.h"

namespace sallyport::app {

/// `$XDG_STATE_HOME/sallyport/session.json` (0600): the session that `sallyport login` keeps.
std::filesystem::path SessionFile();

struct KeptSession {
  std::string server, token, session, expires_at, ca;
};
Result<> KeepSession(const KeptSession& kept);
/// What is kept now; nullopt where there is none, or no such file of ours.
std::optional<KeptSession> ReadSession();
void ForgetSession();

}  // namespace sallyport::app
