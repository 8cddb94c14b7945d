#include "config/units.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <limits>
#include <vector>

namespace sallyport::config {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

std::string_view TakeWhile(std::string_view& text, auto&& pred) {
  size_t n = 0;
  while (n < text.size() && pred(text[n])) ++n;
  auto head = text.substr(0, n);
  text.remove_prefix(n);
  return head;
}

bool IsLoopback(std::string_view host) {
  return host == "localhost" || host == "::1" ||
         (host.starts_with("127.") && host.size() <= 15 &&
          std::ranges::all_of(host, [](char c) { return IsDigit(c) || c == '.'; }));
}

/// Splits "host:port" and "[v6]:port"; the port may be missing.
bool SplitHostPort(std::string_view text, std::string& host, std::string_view& port) {
  if (text.starts_with('[')) {
    auto close = text.find(']');
    if (close == std::string_view::npos) return false;
    host = text.substr(1, close - 1);
    text.remove_prefix(close + 1);
    if (!text.empty() && text[0] != ':') return false;
    port = text.empty() ? text : text.substr(1);
    return true;
  }
  auto colon = text.rfind(':');
  host = text.substr(0, colon);
  port = colon == std::string_view::npos ? std::string_view() : text.substr(colon + 1);
  return host.find(':') == std::string::npos;
}

}  // namespace

std::optional<uint64_t> ParseCount(std::string_view text) {
  if (text.empty() || text.size() > 18 || !std::ranges::all_of(text, IsDigit)) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) value = value * 10 + static_cast<uint64_t>(c - '0');
  return value;
}

std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, int64_t>, 8> kUnits{{
      {"ms", 1},
      {"s", 1000},
      {"m", 60'000},
      {"h", 3'600'000},
      {"d", 86'400'000},
      {"w", 7 * 86'400'000LL},
      {"mo", 30 * 86'400'000LL},
      {"y", 365 * 86'400'000LL},
  }};
  if (text.empty()) return std::nullopt;
  int64_t total = 0;
  while (!text.empty()) {
    auto count = ParseCount(TakeWhile(text, IsDigit));
    auto unit = TakeWhile(text, [](char c) { return c >= 'a' && c <= 'z'; });
    auto known = std::ranges::find(kUnits, unit, &std::pair<std::string_view, int64_t>::first);
    if (!count || known == kUnits.end()) return std::nullopt;
    constexpr int64_t kMost = 100 * 365 * 86'400'000LL;  // a century: nothing overflows
    if (*count > static_cast<uint64_t>(kMost / known->second)) return std::nullopt;
    total += static_cast<int64_t>(*count) * known->second;
    if (total > kMost) return std::nullopt;
  }
  return std::chrono::milliseconds(total);
}

std::optional<uint64_t> ParseSize(std::string_view text) {
  static constexpr std::array<std::pair<std::string_view, uint64_t>, 8> kUnits{{
      {"", 1},
      {"B", 1},
      {"kB", 1000},
      {"KiB", 1024},
      {"MB", 1'000'000},
      {"MiB", 1 << 20},
      {"GB", 1'000'000'000},
      {"GiB", 1 << 30},
  }};
  auto count = ParseCount(TakeWhile(text, IsDigit));
  auto known = std::ranges::find(kUnits, text, &std::pair<std::string_view, uint64_t>::first);
  if (!count || known == kUnits.end()) return std::nullopt;
  if (*count > std::numeric_limits<uint64_t>::max() / known->second) return std::nullopt;
  return *count * known->second;
}

std::optional<Listen> ParseListen(std::string_view text) {
  Listen listen;
  std::string_view port_text;
  if (!SplitHostPort(text, listen.host, port_text)) return std::nullopt;
  auto port = ParseCount(port_text);
  if (!port || *port > 65535) return std::nullopt;
  if (listen.host.find_first_not_of("0123456789abcdefABCDEF.:") != std::string::npos &&
      listen.host != "localhost") {
    return std::nullopt;
  }
  listen.port = static_cast<uint16_t>(*port);
  listen.loopback = IsLoopback(listen.host);
  return listen;
}

std::optional<Url> ParseUrl(std::string_view text) {
  Url url;
  url.https = text.starts_with("https://");
  if (!url.https && !text.starts_with("http://")) return std::nullopt;
  text.remove_prefix(url.https ? 8 : 7);
  for (char c : text) {
    if (static_cast<unsigned char>(c) <= 0x20 || c == 0x7f || c == '\\' || c == '#')
      return std::nullopt;
  }
  auto authority = text.substr(0, text.find_first_of("/?"));
  url.rest = text.substr(authority.size());
  if (authority.find('@') != std::string_view::npos) return std::nullopt;
  std::string_view port;
  if (!SplitHostPort(authority, url.host, port) || url.host.empty()) return std::nullopt;
  if (authority.ends_with(':') || (!port.empty() && ParseCount(port).value_or(65536) > 65535))
    return std::nullopt;
  std::ranges::transform(url.host, url.host.begin(), [](char c) {
    return static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  });
  url.loopback = IsLoopback(url.host);
  return url;
}

size_t EditDistance(std::string_view a, std::string_view b) {
  a = a.substr(0, 64), b = b.substr(0, 64);
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t change = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, change});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace sallyport::config
