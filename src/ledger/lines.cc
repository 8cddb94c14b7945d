#include "ledger/lines.h"

#include <charconv>
#include <cstring>

#include "base/bytes.h"

namespace sallyport::ledger {

std::optional<std::string_view> TakeLine(std::string_view& text) {
  const size_t end = text.find('\n');
  if (end == std::string_view::npos) return std::nullopt;
  const std::string_view line = text.substr(0, end);
  text.remove_prefix(end + 1);
  return line;
}

std::optional<uint64_t> ParseDecimal(std::string_view text) {
  if (text.empty() || (text.size() > 1 && text.front() == '0')) return std::nullopt;
  uint64_t value = 0;
  const char* const last = text.data() + text.size();
  const auto [end, error] = std::from_chars(text.data(), last, value);
  if (error != std::errc() || end != last) return std::nullopt;
  return value;
}

std::optional<Hash> ParseHash(std::string_view text) {
  const auto bytes = Base64Decode(text);
  if (!bytes || bytes->size() != sizeof(Hash)) return std::nullopt;
  Hash hash;
  std::memcpy(hash.data(), bytes->data(), sizeof(Hash));
  return hash;
}

}  // namespace sallyport::ledger
