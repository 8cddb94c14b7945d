#pragma once

#include <string>
#include <string_view>

namespace sallyport::mcp {

/// Splits the text of one JSON object into its members, or of one array into its elements, without
/// reading what is inside them: an upstream's answer is taken out of its envelope in one pass over
/// the bytes.
///
/// Brackets and strings decide where a value ends; the value itself is not checked. That is enough
/// because for a value that is valid JSON this end is its only end, and whoever uses a value reads
/// it strictly. The text must outlive the scan. Never recurses.
class MemberScan {
 public:
  explicit MemberScan(std::string_view text, char open = '{');

  /// The next member. False at the end and on the first error; ok() tells which.
  bool Next();
  std::string_view key() const {
    return key_;
  }  // decoded; valid until the next Next(); empty in an array
  std::string_view value() const { return value_; }  // as it stands in the text
  /// Where the member begins in the text: its key, or in an array its value.
  size_t begin() const { return begin_; }
  size_t end() const { return end_; }  // behind its value

  /// After Next() was false: the whole text was one object (array) and nothing else.
  bool ok() const { return ok_; }

 private:
  void Skip();
  bool String(std::string_view& raw);
  bool Value();
  bool Stop(bool ok);

  std::string_view text_;
  size_t at_ = 0;
  size_t begin_ = 0, end_ = 0;
  char close_;
  bool first_ = true, done_ = false, ok_ = false;
  std::string_view key_, value_;
  std::string decoded_;
};

/// The value of `name` in the object, or empty if the text is no object or has none (the last one,
/// if the text breaks the rule that names are unique).
std::string_view FindMember(std::string_view object, std::string_view name);

/// The text of a JSON string, or empty if `raw` is none.
std::string Unquote(std::string_view raw);

/// True for white space around or between JSON values.
inline bool IsJsonSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
std::string_view TrimJson(std::string_view text);

}  // namespace sallyport::mcp
