#pragma once

#include <string>
#include <string_view>

#include "api/visit.h"
#include "json/document.h"

namespace sallyport::api {

/// The JSON object of a request's body, strictly read; it views the request.
/// header_invalid: another Content-Type; request_malformed and the like: the text.
Result<json::Document> ReadJson(const Visit& visit);
/// A text member; request_malformed if it is missing (unless `optional`), no text, too long, or has
/// control characters other than line ends.
Result<std::string> TextOf(json::Value object, const char* name, size_t longest,
                           bool optional = false);
/// The fields of a form; header_invalid: another Content-Type.
Result<Form> ReadForm(const Visit& visit);

}  // namespace sallyport::api
