#pragma once

#include <charconv>
#include <concepts>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "json/document.h"

namespace sallyport::ledger {

/// Writes one JSON object with its members in the order of the calls; empty texts are left out,
/// long ones cut.
class ObjectWriter {
 public:
  static constexpr size_t kMaxText = 4096;  // of one name, address or detail

  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  void Close() { out_ += '}'; }

  /// Begins a member and returns the string to append its value to. `key` needs no escaping.
  std::string& Key(std::string_view key) {
    if (!first_) out_ += ',';
    first_ = false;
    out_ += '"';
    out_ += key;
    out_ += "\":";
    return out_;
  }
  void Text(std::string_view key, std::string_view value) {
    if (!value.empty()) json::AppendString(Key(key), Cut(value));
  }
  void Number(std::string_view key, std::integral auto value) {
    char digits[24];
    const char* const end = std::to_chars(digits, digits + sizeof digits, value).ptr;
    Key(key).append(digits, size_t(end - digits));
  }
  void NumberUnlessZero(std::string_view key, uint64_t value) {
    if (value != 0) Number(key, value);
  }
  void Flag(std::string_view key, bool value) { Key(key) += value ? "true" : "false"; }
  void Texts(std::string_view key, const std::vector<std::string>& values) {
    if (values.empty()) return;
    Key(key) += '[';
    for (size_t i = 0; i < values.size(); ++i) {
      if (i > 0) out_ += ',';
      json::AppendString(out_, Cut(values[i]));
    }
    out_ += ']';
  }

  /// At most kMaxText bytes of `text`, not ending inside a UTF-8 character.
  static std::string_view Cut(std::string_view text) {
    if (text.size() <= kMaxText) return text;
    size_t end = kMaxText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    return text.substr(0, end);
  }

 private:
  std::string& out_;
  bool first_ = true;
};

}  // namespace sallyport::ledger
