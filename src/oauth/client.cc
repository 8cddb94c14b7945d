#include "oauth/client.h"

#include <algorithm>
#include <array>

namespace sallyport::oauth {
namespace {

constexpr size_t kLongestName = 100;

std::unexpected<Error> Wrong(const char* what) { return Fail(Errc::request_malformed, what); }

/// For a page: no control characters, nothing that turns the direction of the text, and short.
std::string PlainName(std::string_view name) {
  std::string out;
  for (const char c : name) out += c >= ' ' && c <= '~' ? c : '?';
  if (out.size() > kLongestName) out.resize(kLongestName);
  return out;
}

/// A list of texts, all of which are known here; it need not be there.
bool OnlyOf(json::Value list, std::initializer_list<std::string_view> known) {
  if (!list) return true;
  if (!list.is(json::Kind::array)) return false;
  for (auto one = list.first(); one; one = one.next()) {
    const auto text = one.string();
    if (!text || std::ranges::find(known, *text) == known.end()) return false;
  }
  return true;
}

bool Holds(json::Value list, std::string_view word) {
  if (!list) return true;
  for (auto one = list.first(); one; one = one.next()) {
    if (one.string() == word) return true;
  }
  return false;
}

}  // namespace

const RedirectUri* Client::Find(const RedirectUri& given) const {
  const auto at =
      std::ranges::find_if(redirects, [&](const RedirectUri& one) { return one.Allows(given); });
  return at == redirects.end() ? nullptr : &*at;
}

Result<ClientMetadata> ReadClientMetadata(std::string_view text, Client::Kind kind) {
  const bool document_kind = kind == Client::Kind::document;
  SALLYPORT_TRY(const json::Document document,
                json::Document::Parse(text, {.max_bytes = kMaxMetadataBytes, .max_depth = 16}));
  const json::Value root = document.root();
  if (!root.is(json::Kind::object)) return Wrong("it is not a JSON object");
  ClientMetadata out;
  if (const json::Value id = root["client_id"]) {
    if (!id.string()) return Wrong("client_id is not text");
    out.client_id = *id.string();
  }
  if (const json::Value name = root["client_name"]) {
    if (!name.string()) return Wrong("client_name is not text");
    out.name = PlainName(*name.string());
  }
  const json::Value method = root["token_endpoint_auth_method"];
  if (method && (!method.string() || (document_kind && method.string() != "none")))
    return Wrong("token_endpoint_auth_method can only be none");
  if (root["client_secret"] || root["client_secret_expires_at"])
    return Wrong("a document that everybody can read holds no client_secret");
  if (!OnlyOf(root["response_types"], {"code"})) return Wrong("response_types can only be code");
  const json::Value grants = root["grant_types"];
  if ((grants && !grants.is(json::Kind::array)) || !Holds(grants, "authorization_code"))
    return Wrong("grant_types has to hold authorization_code");
  const json::Value redirects = root["redirect_uris"];
  if (!redirects.is(json::Kind::array) || redirects.size() == 0)
    return Wrong("redirect_uris is missing");
  if (redirects.size() > kMaxRedirects) return Wrong("more than 16 redirect_uris");
  for (auto one = redirects.first(); one; one = one.next()) {
    const auto uri = one.string();
    if (!uri) return Wrong("redirect_uris holds something that is not text");
    auto parsed = RedirectUri::Parse(*uri);
    if (!parsed && !document_kind) return std::unexpected(std::move(parsed).error());
    if (parsed) out.redirects.push_back(std::move(*parsed));
  }
  if (out.redirects.empty()) return Wrong("none of redirect_uris is one that answers may go to");
  return out;
}

}  // namespace sallyport::oauth
