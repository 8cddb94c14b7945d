#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport {

using ByteView = std::span<const uint8_t>;

inline ByteView AsBytes(std::string_view s) {
  return {reinterpret_cast<const uint8_t*>(s.data()), s.size()};
}
inline std::string_view AsText(ByteView b) {
  return {reinterpret_cast<const char*>(b.data()), b.size()};
}

inline void StoreBe16(uint8_t* p, uint16_t v) { p[0] = uint8_t(v >> 8), p[1] = uint8_t(v); }
inline void StoreBe32(uint8_t* p, uint32_t v) {
  StoreBe16(p, uint16_t(v >> 16)), StoreBe16(p + 2, uint16_t(v));
}
inline uint16_t LoadBe16(const uint8_t* p) { return uint16_t(p[0] << 8 | p[1]); }
inline uint32_t LoadBe32(const uint8_t* p) { return uint32_t(LoadBe16(p)) << 16 | LoadBe16(p + 2); }

/// Base64 of RFC 4648 section 4 (padded) and section 5 (URL alphabet, unpadded). Decoders are strict: wrong
/// alphabet, wrong padding and stray trailing bits give nullopt, so one value has exactly one spelling.
std::string Base64Encode(ByteView bytes);
std::optional<std::vector<uint8_t>> Base64Decode(std::string_view text);
std::string Base64UrlEncode(ByteView bytes);
std::optional<std::vector<uint8_t>> Base64UrlDecode(std::string_view text);

/// The offset of the first byte that is not UTF-8 text (or is NUL); npos where all of it is.
size_t FirstBadByte(std::string_view text);

/// Lower-case hexadecimal.
std::string HexEncode(ByteView bytes);

}  // namespace sallyport
