#include "api/assets.h"

#include <openssl/sha.h>

#include "api/assets_embedded.h"
#include "api/endpoints.h"
#include "base/bytes.h"

namespace sallyport::api {
namespace {

std::string_view TypeOf(std::string_view name) {
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return {};
}

/// A strong validator (RFC 9110 section 8.8.3) of the content.
std::string TagOf(std::string_view text) {
  uint8_t hash[SHA256_DIGEST_LENGTH];
  SHA256(AsBytes(text).data(), text.size(), hash);
  return '"' + Base64UrlEncode(ByteView(hash, 15)) + '"';
}

boost::asio::awaitable<Reply> Serve(Visit& visit) {
  const std::string name = visit.Param("name");
  const std::string_view type = TypeOf(name);
  const auto text = type.empty() ? std::nullopt : Asset(name);
  if (!text) co_return Problem(Error(Errc::not_found));
  // The same for everybody and without secrets: a browser may keep it, and asks whether it changed.
  const std::string tag = TagOf(*text);
  net::Headers headers{
      {"Content-Type", std::string(type)}, {"Cache-Control", "no-cache"}, {"ETag", tag}};
  if (visit.request().headers.Find("If-None-Match") == tag)
    co_return Reply{.status = 304, .headers = std::move(headers), .body = {}};
  co_return Reply{.status = 200, .headers = std::move(headers), .body = std::string(*text)};
}

}  // namespace

std::optional<std::string_view> Asset(std::string_view name) {
  for (const EmbeddedFile& file : kEmbedded) {
    if (file.name == name) return file.text;
  }
  return std::nullopt;
}

void AddAssets(Router& router) {
  router.Add({.method = "GET", .path = "/assets/:name", .needs = Needs::nobody, .handler = Serve});
}

}  // namespace sallyport::api
