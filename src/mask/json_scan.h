#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace sallyport::mask {

enum class JsonType : uint8_t { object, array, string, number, literal };

/// One value of a JSON text, by byte spans. Nodes stand in document order; the descendants of node
/// i are i + 1 … next - 1.
struct JsonNode {
  uint32_t begin, end;          // the token with its quotes or brackets
  uint32_t key_begin, key_end;  // the member's key with its quotes; equal when there is none
  uint32_t next;
  int32_t parent;  // -1: the root
  uint32_t index;  // position in the parent
  JsonType type;

  bool has_key() const { return key_end > key_begin; }
};

/// Reads one RFC 8259 text (any value, white space around it). False when it is anything else,
/// nests deeper than `max_depth` or is 4 GiB or longer. No recursion. Whether strings are valid
/// UTF-8 is not looked at.
bool ScanJson(std::string_view json, size_t max_depth, std::vector<JsonNode>& nodes);

/// The content of a string token (with its quotes). `map[i]` is where byte i of the content comes
/// from, relative to the token, `map[size]` the closing quote; it is empty when the content is
/// verbatim and starts at 1. An unpaired surrogate becomes U+FFFD.
struct JsonString {
  std::string text;
  std::vector<uint32_t> map;
  size_t Source(size_t i) const { return map.empty() ? i + 1 : map[i]; }
};
JsonString DecodeJsonString(std::string_view token);

/// `text` as it stands between the quotes of a JSON string.
std::string EscapeJson(std::string_view text);

}  // namespace sallyport::mask
