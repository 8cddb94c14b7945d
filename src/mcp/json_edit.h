#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json/document.h"

namespace sallyport::mcp {

/// Replaces parts of a JSON text. What is not replaced is copied verbatim.
class JsonEdit {
 public:
  /// `text` must outlive the edit.
  explicit JsonEdit(std::string_view text) : text_(text) {}

  /// Puts `replacement` where `value` stands.
  void Replace(json::Value value, std::string replacement) {
    edits_.push_back({value.offset(), value.offset() + value.raw().size(), std::move(replacement)});
  }
  /// The same by position in the text.
  void Replace(size_t offset, size_t size, std::string replacement) {
    edits_.push_back({offset, offset + size, std::move(replacement)});
  }
  /// Adds a member (`"name":value` text) to the object, behind those that are there.
  void Add(json::Value object, std::string_view name, std::string_view value);
  bool empty() const { return edits_.empty(); }

  /// The edited text. Edits must not overlap.
  std::string Apply() const;

 private:
  struct Edit {
    size_t begin, end;
    std::string text;
  };
  std::string_view text_;
  std::vector<Edit> edits_;
};

/// Replaces a member of an object or adds it.
void SetMember(JsonEdit& edit, json::Value object, std::string_view name, std::string_view value);

/// One spelling per value: members sorted by key, no white space, strings with the shortest
/// escapes, numbers as they were written. Two texts of the same value (numbers spelled alike) give
/// the same bytes.
std::string Canonical(json::Value value);

/// An RFC 6901 pointer to `key` below `base`.
std::string Pointer(std::string_view base, std::string_view key);

}  // namespace sallyport::mcp
