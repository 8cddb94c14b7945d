#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace sallyport::api {

/// The fields of a query or of an application/x-www-form-urlencoded body (WHATWG URL, section 5).
/// A name that occurs twice has no value: two readers could see two.
class Form {
 public:
  Form() = default;
  explicit Form(std::string_view text);
  std::optional<std::string_view> Find(std::string_view name) const;
  std::string Get(std::string_view name) const { return std::string(Find(name).value_or("")); }
  bool Has(std::string_view name) const;

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

/// `text` with everything percent-encoded but unreserved characters (RFC 3986 section 2.3).
std::string PercentEncode(std::string_view text);

/// Whether `path` may be gone to after a login: a path of this gateway, in plain characters, that
/// cannot be read as another origin ("//evil", "/\evil", "https:evil", control characters, dots).
bool IsLocalPath(std::string_view path);

}  // namespace sallyport::api
