#include "api/form.h"

#include <algorithm>

namespace sallyport::api {
namespace {

constexpr size_t kMostFields = 64;

int Digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

std::string Decode(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() && Digit(text[i + 1]) >= 0 &&
        Digit(text[i + 2]) >= 0) {
      out += char(Digit(text[i + 1]) * 16 + Digit(text[i + 2]));
      i += 2;
    } else {
      out += text[i] == '+' ? ' ' : text[i];
    }
  }
  return out;
}

bool Unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '.' || c == '_' || c == '~';
}

}  // namespace

Form::Form(std::string_view text) {
  while (!text.empty() && fields_.size() < kMostFields) {
    const size_t end = std::min(text.find('&'), text.size());
    const std::string_view pair = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (pair.empty()) continue;
    const size_t eq = std::min(pair.find('='), pair.size());
    fields_.emplace_back(Decode(pair.substr(0, eq)),
                         Decode(pair.substr(std::min(eq + 1, pair.size()))));
  }
}

std::optional<std::string_view> Form::Find(std::string_view name) const {
  const std::string* found = nullptr;
  for (const auto& [n, value] : fields_) {
    if (n != name) continue;
    if (found != nullptr) return std::nullopt;
    found = &value;
  }
  if (found == nullptr) return std::nullopt;
  return *found;
}

bool Form::Has(std::string_view name) const {
  return std::ranges::any_of(fields_, [&](const auto& field) { return field.first == name; });
}

std::string PercentEncode(std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (Unreserved(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[uint8_t(c) >> 4];
      out += kHex[uint8_t(c) & 15];
    }
  }
  return out;
}

bool IsLocalPath(std::string_view path) {
  if (path.size() > 2048 || !path.starts_with('/') || path.starts_with("//")) return false;
  const std::string_view before_query = path.substr(0, path.find('?'));
  if (before_query.find("//") != path.npos || before_query.find("..") != path.npos ||
      before_query.find('%') != path.npos)
    return false;
  return std::ranges::all_of(path, [](char c) {
    return Unreserved(c) || c == '/' || c == '?' || c == '=' || c == '&' || c == '%';
  });
}

}  // namespace sallyport::api
