#pragma once

#include <string>
#include <string_view>

#include "base/result.h"

namespace sallyport::policy {

/// A pattern of names: `*` stands for any run of characters (also none, also dots and slashes), `?`
/// for exactly one character (a UTF-8 sequence counts as one), everything else for itself. There is
/// no escape, no class and no brace; upper and lower case differ. Immutable, thread-safe.
class Glob {
 public:
  static constexpr size_t kMaxBytes = 512;

  /// config_invalid: empty, longer than kMaxBytes, a control character, or one of `[ ] { } \`,
  /// which other languages give a meaning that this one does not have.
  static Result<Glob> Make(std::string_view pattern);

  /// Time is at most pattern length times text length; callers bound the text.
  bool Matches(std::string_view text) const;

  /// No `*` and no `?`: matches exactly text().
  bool literal() const { return prefix_ == text_.size(); }
  const std::string& text() const { return text_; }
  /// The characters behind the last `*` or `?`.
  std::string_view suffix() const { return std::string_view(text_).substr(suffix_); }
  /// The characters before the first `*` or `?`.
  std::string_view prefix() const { return std::string_view(text_).substr(0, prefix_); }

 private:
  std::string text_;
  size_t prefix_ = 0;  // bytes before the first wildcard
  size_t suffix_ = 0;  // where the text behind the last one begins
};

}  // namespace sallyport::policy
