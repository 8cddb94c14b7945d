#include "base/trace.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport {
namespace {

constexpr size_t kIdSize = 32;
constexpr std::string_view kName = "traceparent";

bool IsHex(std::string_view text) {
  return std::ranges::all_of(
      text, [](char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); });
}

bool IsZero(std::string_view text) { return text.find_first_not_of('0') == std::string_view::npos; }

/// The trace id that `text` begins with behind its version; the rest is not looked at.
std::string_view IdAtStart(std::string_view text) {
  if (text.size() < 3 + kIdSize || text[2] != '-') return {};
  const std::string_view version = text.substr(0, 2), id = text.substr(3, kIdSize);
  if (!IsHex(version) || version == "ff" || !IsHex(id) || IsZero(id)) return {};
  return id;
}

}  // namespace

std::string_view TraceIdOf(std::string_view traceparent) {
  const std::string_view id = IdAtStart(traceparent);
  if (id.empty() || traceparent.size() < 55 || traceparent[35] != '-' || traceparent[52] != '-')
    return {};
  const std::string_view parent = traceparent.substr(36, 16), flags = traceparent.substr(53, 2);
  if (!IsHex(parent) || IsZero(parent) || !IsHex(flags)) return {};
  const bool known = traceparent.starts_with("00");  // a later version may be longer
  return traceparent.size() == 55 || (!known && traceparent[55] == '-') ? id : std::string_view();
}

std::string_view TraceIdIn(std::string_view text) {
  for (size_t at = text.find(kName); at != std::string_view::npos;
       at = text.find(kName, at + kName.size())) {
    std::string_view rest = text.substr(at + kName.size());
    const size_t begin = rest.find_first_not_of("=' \"");
    if (begin == 0 || begin == std::string_view::npos) continue;
    const std::string_view id = IdAtStart(rest.substr(begin));
    if (!id.empty()) return id;
  }
  return {};
}

std::string NewTraceparent() {
  // 24 random bytes, as the handles are made: their 32 characters are decoded again.
  const std::string bytes = NewRandom(24);
  std::string hex = HexEncode(AsBytes(bytes));
  hex[0] = hex[32] = 'a';  // none of them is all zeros
  return "00-" + hex.substr(0, 32) + "-" + hex.substr(32, 16) + "-01";
}

}  // namespace sallyport
