#include "app/session_file.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <nlohmann/json.hpp>

#include "app/keys.h"

namespace sallyport::app {

namespace fs = std::filesystem;

fs::path SessionFile() {
  const char* base = std::getenv("XDG_STATE_HOME");
  if (base != nullptr && *base != '\0') return fs::path(base) / "sallyport/session.json";
  const char* home = std::getenv("HOME");
  return fs::path(home == nullptr ? "." : home) / ".local/state/sallyport/session.json";
}

Result<> KeepSession(const KeptSession& kept) {
  const fs::path file = SessionFile();
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  if (error) return Fail(Errc::io_failed, "cannot make " + file.parent_path().string());
  fs::permissions(file.parent_path(), fs::perms::owner_all, error);
  const nlohmann::ordered_json text{{"v", 1},
                                    {"server", kept.server},
                                    {"ca", kept.ca},
                                    {"session", kept.session},
                                    {"expires_at", kept.expires_at},
                                    {"token", kept.token}};
  return WritePrivate(file, text.dump(2) + "\n");
}

std::optional<KeptSession> ReadSession() {
  std::ifstream in(SessionFile(), std::ios::binary);
  if (!in) return std::nullopt;
  const std::string text{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
  const auto object = nlohmann::json::parse(text, nullptr, false);
  if (!object.is_object()) return std::nullopt;
  const auto member = [&](const char* name) {
    const auto at = object.find(name);
    return at != object.end() && at->is_string() ? at->get<std::string>() : std::string();
  };
  return KeptSession{.server = member("server"),
                     .token = member("token"),
                     .session = member("session"),
                     .expires_at = member("expires_at"),
                     .ca = member("ca")};
}

void ForgetSession() {
  std::error_code error;
  fs::remove(SessionFile(), error);
}

}  // namespace sallyport::app
