#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace sallyport::mask {

/// One character as a reader sees it: the digit behind a full-width digit, `%34`, `&#52;`, `\x34`
/// or `=34`, the plain space behind a no-break space. What a reader does not see (zero-width
/// characters, combining marks, variation selectors, NUL, soft line breaks, terminal colours) has
/// no symbol.
struct Symbol {
  uint32_t begin, end;  // bytes of the text
  char c;               // '0'…'9', an ASCII character, or one of the values below
  uint8_t flags;
};
inline constexpr char kTag = '\x01';       // inline markup such as <wbr> or </b><i>
inline constexpr char kOther = '\x02';     // a character outside ASCII that means nothing here
inline constexpr uint8_t kFoldedFlag = 1;  // not spelled as the plain ASCII character
inline constexpr uint8_t kRtlFlag = 2;     // inside a right-to-left override: shown in reverse

/// Appends the symbols of text[from, to). An escape that starts before `to` may be read past it.
/// Invalid UTF-8 gives kOther. Linear; never fails.
void Fold(std::string_view text, size_t from, size_t to, std::vector<Symbol>& out);

/// What a code point becomes: a character as in Symbol, or 0 when it is not seen.
char FoldCodePoint(char32_t cp);

/// Decodes one code point at `i`; returns its length in bytes, 1 with 0xfffd for a malformed one.
int DecodeUtf8(std::string_view text, size_t i, char32_t& cp);

}  // namespace sallyport::mask
