#include "ledger/tile.h"

#include <cstdio>
#include <cstring>

#include "base/bytes.h"

namespace sallyport::ledger {
namespace {

std::string EncodeNumber(uint64_t n) {
  char group[8];
  std::snprintf(group, sizeof group, "%03u", unsigned(n % 1000));
  std::string out = group;
  while (n >= 1000) {
    n /= 1000;
    std::snprintf(group, sizeof group, "x%03u/", unsigned(n % 1000));
    out.insert(0, group);
  }
  return out;
}

/// Decimal without a sign or leading zeros, at most `limit`.
std::optional<uint64_t> ParseDecimal(std::string_view text, uint64_t limit) {
  if (text.empty() || text.size() > 19 || (text.size() > 1 && text[0] == '0')) return std::nullopt;
  uint64_t value = 0;
  for (char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + uint64_t(c - '0');
  }
  if (value > limit) return std::nullopt;
  return value;
}

bool StripPrefix(std::string_view& text, std::string_view prefix) {
  if (!text.starts_with(prefix)) return false;
  text.remove_prefix(prefix.size());
  return true;
}

}  // namespace

std::string TilePath(const TileName& name) {
  std::string path = "tile/";
  path += name.entries ? "entries" : std::to_string(name.level);
  path += '/';
  path += EncodeNumber(name.number);
  if (name.width < kTileWidth) path += ".p/" + std::to_string(name.width);
  return path;
}

std::optional<TileName> ParseTilePath(std::string_view path) {
  const std::string_view whole = path;
  TileName name;
  if (!StripPrefix(path, "tile/")) return std::nullopt;
  const size_t slash = path.find('/');
  if (slash == std::string_view::npos) return std::nullopt;
  if (path.substr(0, slash) == "entries") {
    name.entries = true;
  } else {
    const auto level = ParseDecimal(path.substr(0, slash), 63);
    if (!level) return std::nullopt;
    name.level = unsigned(*level);
  }
  path.remove_prefix(slash + 1);
  if (const size_t p = path.find(".p/"); p != std::string_view::npos) {
    const auto width = ParseDecimal(path.substr(p + 3), kTileWidth - 1);
    if (!width || *width == 0) return std::nullopt;
    name.width = unsigned(*width);
    path = path.substr(0, p);
  }
  if (path.size() > 40) return std::nullopt;
  for (char c : path) {
    if (c >= '0' && c <= '9') name.number = name.number * 10 + uint64_t(c - '0');
  }
  if (TilePath(name) != whole) return std::nullopt;  // one spelling only
  return name;
}

std::vector<TileName> TilesOf(uint64_t size) {
  std::vector<TileName> names;
  const auto add = [&](bool entries, unsigned level) {
    const uint64_t hashes = HashesAt(level, size);
    const uint64_t full = hashes / kTileWidth;
    const unsigned rest = unsigned(hashes % kTileWidth);
    for (uint64_t n = 0; n < full; ++n) names.push_back({entries, level, n, kTileWidth});
    if (rest > 0) names.push_back({entries, level, full, rest});
  };
  for (unsigned level = 0; HashesAt(level, size) > 0; ++level) add(false, level);
  add(true, 0);
  return names;
}

void AppendToBundle(std::string& bundle, std::string_view entry) {
  uint8_t length[2];
  StoreBe16(length, uint16_t(entry.size()));
  bundle.append(reinterpret_cast<const char*>(length), 2);
  bundle.append(entry);
}

std::optional<std::vector<std::string_view>> SplitBundle(std::string_view bundle, unsigned width) {
  std::vector<std::string_view> entries;
  entries.reserve(width);
  while (!bundle.empty()) {
    if (bundle.size() < 2 || entries.size() == width) return std::nullopt;
    const size_t length = LoadBe16(reinterpret_cast<const uint8_t*>(bundle.data()));
    if (bundle.size() - 2 < length) return std::nullopt;
    entries.push_back(bundle.substr(2, length));
    bundle.remove_prefix(2 + length);
  }
  if (entries.size() != width) return std::nullopt;
  return entries;
}

Hash ReduceTile(const uint8_t* hashes, unsigned count) {
  std::vector<Hash> level(count);
  std::memcpy(level.data(), hashes, size_t(count) * sizeof(Hash));
  for (unsigned n = count; n > 1; n /= 2) {
    for (unsigned i = 0; i < n / 2; ++i) level[i] = NodeHash(level[2 * i], level[2 * i + 1]);
  }
  return level[0];
}

}  // namespace sallyport::ledger
