#include "api/cookies.h"

namespace sallyport::api {
namespace {

std::string FullName(std::string_view name, bool secure) {
  return (secure ? "__Host-" : "") + std::string(name);
}

}  // namespace

std::optional<std::string> FindCookie(const net::Headers& headers, std::string_view name,
                                      bool secure) {
  const std::string full = FullName(name, secure);
  std::optional<std::string> found;
  for (const auto& [field, value] : headers.fields()) {
    if (!net::SameName(field, "Cookie")) continue;
    std::string_view rest = value;
    while (!rest.empty()) {
      std::string_view pair = rest.substr(0, rest.find(';'));
      rest.remove_prefix(std::min(pair.size() + 1, rest.size()));
      while (pair.starts_with(' ')) pair.remove_prefix(1);
      const size_t eq = pair.find('=');
      if (eq == pair.npos || pair.substr(0, eq) != full) continue;
      if (found) return std::nullopt;
      found = std::string(pair.substr(eq + 1));
    }
  }
  if (found && found->empty()) return std::nullopt;
  return found;
}

void SetCookie(net::Headers& headers, std::string_view name, std::string_view value, bool secure,
               long max_age_seconds) {
  std::string field = FullName(name, secure) + "=" + std::string(value) +
                      "; Path=/; HttpOnly; SameSite=Lax; Max-Age=" +
                      std::to_string(value.empty() ? 0 : max_age_seconds);
  if (secure) field += "; Secure";
  headers.Add("Set-Cookie", std::move(field));
}

}  // namespace sallyport::api
