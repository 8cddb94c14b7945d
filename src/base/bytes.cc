#include "base/bytes.h"

#include <array>

namespace sallyport {
namespace {

constexpr std::string_view kStandard =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr std::string_view kUrl =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

constexpr std::array<int8_t, 256> Inverse(std::string_view alphabet) {
  std::array<int8_t, 256> table{};
  table.fill(-1);
  for (size_t i = 0; i < alphabet.size(); ++i) table[uint8_t(alphabet[i])] = int8_t(i);
  return table;
}
constexpr auto kStandardInverse = Inverse(kStandard);
constexpr auto kUrlInverse = Inverse(kUrl);

std::string Encode(ByteView bytes, std::string_view alphabet, bool pad) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  uint32_t acc = 0;
  int bits = 0;
  for (uint8_t b : bytes) {
    acc = acc << 8 | b;
    bits += 8;
    while (bits >= 6) {
      bits -= 6;
      out += alphabet[acc >> bits & 63];
    }
  }
  if (bits > 0) out += alphabet[acc << (6 - bits) & 63];
  while (pad && out.size() % 4 != 0) out += '=';
  return out;
}

std::optional<std::vector<uint8_t>> Decode(std::string_view text,
                                           const std::array<int8_t, 256>& inverse) {
  if (text.size() % 4 == 1) return std::nullopt;
  std::vector<uint8_t> out;
  out.reserve(text.size() * 3 / 4);
  uint32_t acc = 0;
  int bits = 0;
  for (char c : text) {
    const int8_t v = inverse[uint8_t(c)];
    if (v < 0) return std::nullopt;
    acc = (acc << 6 | uint32_t(v)) & 0xffffff;
    bits += 6;
    if (bits >= 8) {
      bits -= 8;
      out.push_back(uint8_t(acc >> bits));
    }
  }
  if ((acc & ((1u << bits) - 1)) != 0) return std::nullopt;
  return out;
}

}  // namespace

std::string Base64Encode(ByteView bytes) { return Encode(bytes, kStandard, true); }
std::string Base64UrlEncode(ByteView bytes) { return Encode(bytes, kUrl, false); }

std::optional<std::vector<uint8_t>> Base64Decode(std::string_view text) {
  if (text.size() % 4 != 0) return std::nullopt;
  for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
  return Decode(text, kStandardInverse);
}
std::optional<std::vector<uint8_t>> Base64UrlDecode(std::string_view text) {
  return Decode(text, kUrlInverse);
}

std::string HexEncode(ByteView bytes) {
  constexpr std::string_view digits = "0123456789abcdef";
  std::string out;
  out.reserve(bytes.size() * 2);
  for (uint8_t b : bytes) out += digits[b >> 4], out += digits[b & 15];
  return out;
}

size_t FirstBadByte(std::string_view text) {
  for (size_t i = 0; i < text.size();) {
    auto c = static_cast<unsigned char>(text[i]);
    if (c == 0) return i;
    size_t n = c < 0x80                ? 1
               : c >= 0xc2 && c < 0xe0 ? 2
               : c >= 0xe0 && c < 0xf0 ? 3
               : c >= 0xf0 && c < 0xf5 ? 4
                                       : 0;
    if (n == 0 || i + n > text.size()) return i;
    for (size_t k = 1; k < n; ++k) {
      if ((static_cast<unsigned char>(text[i + k]) & 0xc0) != 0x80) return i;
    }
    i += n;
  }
  return std::string_view::npos;
}

}  // namespace sallyport
