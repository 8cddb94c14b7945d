#include "api/assets.h"

#include "api/assets_embedded.h"
#include "api/endpoints.h"

namespace sallyport::api {
namespace {

std::string_view TypeOf(std::string_view name) {
  if (name.ends_with(".css")) return "text/css; charset=utf-8";
  if (name.ends_with(".js")) return "text/javascript; charset=utf-8";
  if (name.ends_with(".svg")) return "image/svg+xml";
  return {};
}

boost::asio::awaitable<Reply> Serve(Visit& visit) {
  const std::string name = visit.Param("name");
  const std::string_view type = TypeOf(name);
  const auto text = type.empty() ? std::nullopt : Asset(name);
  if (!text) co_return Problem(Error(Errc::not_found));
  co_return Reply{
      .status = 200, .headers = {{"Content-Type", std::string(type)}}, .body = std::string(*text)};
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
