#include "api/body.h"

#include <algorithm>

namespace sallyport::api {
namespace {

bool HasType(const net::HttpRequest& request, std::string_view type) {
  const auto given = request.headers.Find("Content-Type");
  return given && net::SameName(given->substr(0, given->find(';')), type);
}

}  // namespace

Result<json::Document> ReadJson(const Visit& visit) {
  if (!HasType(visit.request(), "application/json"))
    return Fail(Errc::header_invalid, "Content-Type must be application/json");
  SALLYPORT_TRY(
      json::Document document,
      json::Document::Parse(visit.request().body, {.max_bytes = 256 << 10, .max_depth = 16}));
  if (!document.root().is(json::Kind::object))
    return Fail(Errc::request_malformed, "the body is not a JSON object");
  return document;
}

Result<std::string> TextOf(json::Value object, const char* name, size_t longest, bool optional) {
  const json::Value value = object[name];
  if (!value && optional) return std::string();
  const auto text = value.string();
  const bool clean = text && text->size() <= longest && std::ranges::none_of(*text, [](uint8_t c) {
                       return (c < 0x20 && c != '\n' && c != '\r' && c != '\t') || c == 0x7f;
                     });
  if (!clean || (text->empty() && !optional))
    return Fail(Errc::request_malformed, std::string("\"") + name +
                                             "\" has to be a text of at most " +
                                             std::to_string(longest) + " bytes");
  return std::string(*text);
}

Result<Form> ReadForm(const Visit& visit) {
  if (!HasType(visit.request(), "application/x-www-form-urlencoded"))
    return Fail(Errc::header_invalid, "Content-Type must be application/x-www-form-urlencoded");
  return Form(visit.request().body);
}

}  // namespace sallyport::api
