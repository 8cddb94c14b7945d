#include "policy/glob.h"

namespace sallyport::policy {
namespace {

/// The index behind the character that begins at `i`.
size_t AfterCharacter(std::string_view text, size_t i) {
  ++i;
  while (i < text.size() && (static_cast<unsigned char>(text[i]) & 0xc0) == 0x80) ++i;
  return i;
}

}  // namespace

Result<Glob> Glob::Make(std::string_view pattern) {
  if (pattern.empty()) return Fail(Errc::config_invalid, "an empty pattern matches nothing");
  if (pattern.size() > kMaxBytes) {
    return Fail(Errc::config_invalid, "the pattern is longer than 512 bytes");
  }
  for (char c : pattern) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) {
      return Fail(Errc::config_invalid, "the pattern holds a control character");
    }
    if (c == '[' || c == ']' || c == '{' || c == '}' || c == '\\') {
      return Fail(Errc::config_invalid,
                  std::string("'") + c +
                      "' has no meaning in a pattern: only * and ? do; write one "
                      "entry per name");
    }
  }
  Glob glob;
  glob.text_ = pattern;
  auto wild = pattern.find_first_of("*?");
  glob.prefix_ = wild == std::string_view::npos ? pattern.size() : wild;
  if (wild != std::string_view::npos) glob.suffix_ = pattern.find_last_of("*?") + 1;
  return glob;
}

bool Glob::Matches(std::string_view text) const {
  if (literal()) return text == text_;
  if (!text.starts_with(prefix()) || !text.ends_with(suffix())) return false;
  std::string_view pattern = text_;
  size_t p = prefix_, t = prefix_;
  size_t star = std::string_view::npos, resume = 0;
  while (t < text.size()) {
    if (p < pattern.size() && pattern[p] == '*') {
      star = p++;
      resume = t;
    } else if (p < pattern.size() && pattern[p] == '?') {
      ++p;
      t = AfterCharacter(text, t);
    } else if (p < pattern.size() && pattern[p] == text[t]) {
      ++p, ++t;
    } else if (star != std::string_view::npos) {
      p = star + 1;
      t = ++resume;
    } else {
      return false;
    }
  }
  while (p < pattern.size() && pattern[p] == '*') ++p;
  return p == pattern.size();
}

}  // namespace sallyport::policy
