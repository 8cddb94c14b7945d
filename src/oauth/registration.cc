#include "oauth/registration.h"

#include "access/digest.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport::oauth {
namespace {

constexpr std::string_view kPrefix = "spc_";
constexpr std::string_view kPlace = "oauth-client";
constexpr size_t kLongestId = 4096;

}  // namespace

bool IsRegistration(std::string_view client_id) { return client_id.starts_with(kPrefix); }

Result<std::string> Register(const state::Sealer& sealer, const ClientMetadata& metadata) {
  std::string text = R"({"client_name":)" + json::Quote(metadata.name) + R"(,"redirect_uris":[)";
  for (const RedirectUri& one : metadata.redirects) {
    if (!text.ends_with('[')) text += ',';
    json::AppendString(text, one.text);
  }
  text += "]}";
  if (text.size() > kMaxRegisteredBytes)
    return Fail(Errc::request_malformed, "name and redirect_uris are longer than a kilobyte");
  return std::string(kPrefix) + Base64UrlEncode(AsBytes(sealer.Seal(kPlace, text)));
}

Result<Client> OpenRegistration(const state::Sealer& sealer, std::string_view client_id) {
  const auto unknown = [] {
    return Fail(Errc::not_found, "no client of this client_id is known here");
  };
  if (!IsRegistration(client_id) || client_id.size() > kLongestId) return unknown();
  const auto sealed = Base64UrlDecode(client_id.substr(kPrefix.size()));
  if (!sealed) return unknown();
  const auto text = sealer.Open(kPlace, AsText(*sealed));
  if (!text) return unknown();
  auto metadata = ReadClientMetadata(*text, Client::Kind::registered);
  if (!metadata) return unknown();
  const auto digest = access::DigestToken(client_id);
  return Client{.kind = Client::Kind::registered,
                .id = std::string(client_id),
                .label = "registered-" + HexEncode(ByteView(digest.data(), 6)),
                .name = std::move(metadata->name),
                .host = {},
                .redirects = std::move(metadata->redirects)};
}

}  // namespace sallyport::oauth
