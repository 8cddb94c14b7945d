#include "pg/oauthbearer.h"

#include <algorithm>
#include <cctype>
#include <optional>

#include "json/document.h"

namespace sallyport::pg {
namespace {

constexpr char kSeparator = '\x01';
constexpr const char* kViolation = "08P01";

std::unexpected<OAuthBearerFault> Fault(const char* detail) {
  return std::unexpected(OAuthBearerFault{kViolation, detail});
}

/// RFC 7628: key = 1*(ALPHA), value = *(VCHAR / SP / HTAB / CR / LF).
const char* BadPair(std::string_view key, std::string_view value) {
  if (key.empty()) return "Message contains an empty key name.";
  const auto alpha = [](char c) { return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z'); };
  if (!std::ranges::all_of(key, alpha)) return "Message contains an invalid key name.";
  const auto fit = [](char c) {
    return (c >= 0x20 && c <= 0x7e) || c == '\t' || c == '\r' || c == '\n';
  };
  if (!std::ranges::all_of(value, fit)) return "Message contains an invalid value.";
  return nullptr;
}

/// RFC 6750 b64token behind the scheme, in any case; empty if it is not that.
std::string_view BearerToken(std::string_view value) {
  constexpr std::string_view kScheme = "bearer ";
  if (value.size() < kScheme.size() ||
      !std::ranges::equal(value.substr(0, kScheme.size()), kScheme, [](char a, char b) {
        return std::tolower(static_cast<unsigned char>(a)) == b;
      }))
    return {};
  value.remove_prefix(std::min(value.find_first_not_of(' ', kScheme.size()), value.size()));
  const size_t end = value.find_first_not_of(
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/");
  if (end == 0 || (end != value.npos && value.find_first_not_of('=', end) != value.npos)) return {};
  return value;
}

/// The value of `auth` among the pairs of `rest`, which has to end with them.
std::expected<std::string_view, OAuthBearerFault> FindAuth(std::string_view rest) {
  std::optional<std::string_view> auth;
  while (!rest.empty()) {
    const size_t end = rest.find(kSeparator);
    if (end == rest.npos) return Fault("Message contains an unterminated key/value pair.");
    if (end == 0) {
      if (rest.size() > 1)
        return Fault("Message contains additional data after the final terminator.");
      if (!auth) return Fault("Message does not contain an auth value.");
      return *auth;
    }
    const std::string_view pair = rest.substr(0, end);
    const size_t equals = pair.find('=');
    if (equals == pair.npos) return Fault("Message contains a key without a value.");
    const std::string_view key = pair.substr(0, equals), value = pair.substr(equals + 1);
    if (const char* bad = BadPair(key, value)) return Fault(bad);
    if (key == "auth") {
      if (auth) return Fault("Message contains multiple auth values.");
      auth = value;
    }
    rest.remove_prefix(end + 1);
  }
  return Fault("Message did not contain a final terminator.");
}

}  // namespace

std::expected<OAuthBearerResponse, OAuthBearerFault> ParseOAuthBearer(std::string_view message) {
  if (message.empty()) return Fault("The message is empty.");
  if (message.find('\0') != message.npos)
    return Fault("Message length does not match input length.");
  if (message[0] == 'p')
    return Fault(
        "The server does not support channel binding for OAuth, but the client message includes "
        "channel binding data.");
  if (message[0] != 'y' && message[0] != 'n') return Fault("Unexpected channel-binding flag.");
  message.remove_prefix(1);
  if (!message.starts_with(',')) return Fault("Comma expected behind the channel-binding flag.");
  message.remove_prefix(1);
  if (message.starts_with('a'))
    return std::unexpected(OAuthBearerFault{
        "0A000", "The client uses authorization identity, but it is not supported."});
  if (!message.starts_with(',')) return Fault("Unexpected attribute in client-first-message.");
  message.remove_prefix(1);
  if (!message.starts_with(kSeparator)) return Fault("Key-value separator expected.");
  message.remove_prefix(1);
  auto auth = FindAuth(message);
  if (!auth) return std::unexpected(auth.error());
  return OAuthBearerResponse{BearerToken(*auth), auth->empty()};
}

std::string OAuthBearerChallenge(std::string_view openid_configuration, std::string_view scope) {
  std::string out = R"({ "status": "invalid_token", "openid-configuration": )";
  json::AppendString(out, openid_configuration);
  out += R"(, "scope": )";
  json::AppendString(out, scope);
  return out += " }";
}

}  // namespace sallyport::pg
