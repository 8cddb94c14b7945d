#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sallyport::json {

enum class Kind : uint8_t { missing, null, boolean, number, string, array, object };

/// Bounds that hold while a text is read; a text beyond one is refused, never cut.
struct Limits {
  size_t max_bytes = 16u << 20;
  uint32_t max_depth = 64;     // nesting of arrays and objects
  uint32_t max_nodes = 1u << 20;
};

class Document;

/// A value inside a Document: a position, free to copy. Valid as long as the Document and the text it was
/// read from. A value that is not there has kind() == missing and answers every question with "no": so
/// `doc.root()["params"]["name"].string()` needs no checks in between.
class Value {
 public:
  Value() = default;

  Kind kind() const;
  explicit operator bool() const { return kind() != Kind::missing; }
  bool is(Kind k) const { return kind() == k; }

  /// The bytes of this value exactly as they stand in the text, quotes included. Numbers are only ever read
  /// from here, so nothing is lost in a double.
  std::string_view raw() const;
  /// Byte offset of raw() in the text.
  size_t offset() const;

  /// The decoded string, or nullopt when this is not a string. Views the text, or the Document where the
  /// string has escapes.
  std::optional<std::string_view> string() const;
  std::optional<bool> boolean() const;
  /// A number that is written as an integer and fits.
  std::optional<int64_t> integer() const;
  std::optional<double> number() const;

  /// Member or element; missing if there is none or this is not an object (array).
  Value operator[](std::string_view key) const;
  Value at(size_t index) const;
  size_t size() const;  // members or elements, else 0

  /// The key under which this value stands in its object, decoded; empty for elements and the root.
  std::string_view key() const;
  std::string_view raw_key() const;  // with quotes

  /// Iteration over members or elements: `for (auto v = x.first(); v; v = v.next())`.
  Value first() const;
  Value next() const;

 private:
  friend class Document;
  friend class Reader;
  Value(const Document* doc, uint32_t node) : doc_(doc), node_(node) {}
  const Document* doc_ = nullptr;
  uint32_t node_ = 0;
};

/// A strictly read JSON text (RFC 8259) as a flat list of byte spans. Refused: invalid UTF-8, a byte-order
/// mark, trailing bytes, duplicate keys in one object (compared decoded), depth or size beyond the limits.
/// The text is not copied: it must outlive the Document. Immutable and thread-safe once read.
class Document {
 public:
  Document() = default;
  Document(Document&&) noexcept = default;
  Document& operator=(Document&&) noexcept = default;

  /// request_malformed, request_duplicate_key, request_too_deep or request_too_large, with the byte offset
  /// and never with content in the detail.
  static Result<Document> Parse(std::string_view text, const Limits& limits = {});

  /// Whether Parse would succeed, for a text that nobody looks into.
  static Result<> Check(std::string_view text, const Limits& limits = {});

  Value root() const { return Value(this, 1); }
  std::string_view text() const { return text_; }

 private:
  friend class Value;
  friend class Reader;
  struct Node {
    Kind kind;
    bool escaped_key = false;  // the decoded key is in strings_
    bool escaped = false;      // the decoded string is in strings_
    uint32_t begin, end;       // the value in text_
    uint32_t key_begin = 0, key_end = 0;  // the key with its quotes; equal: no key
    uint32_t skip;             // the node behind this subtree
    uint32_t parent;
    uint32_t count = 0;        // members or elements
    uint32_t decoded = 0, decoded_key = 0;  // index into strings_
  };
  static Document& Scratch();  // of the thread: where texts are read, so that its memory is reused
  static void Release(Document& scratch);

  std::string_view text_;
  std::vector<Node> nodes_;  // nodes_[0] is the missing value
  std::vector<std::unique_ptr<std::string>> strings_;
};

/// Appends `text` as a JSON string with its quotes; control characters, quote and backslash are escaped,
/// everything else is kept as it is (the text has to be UTF-8).
void AppendString(std::string& out, std::string_view text);
std::string Quote(std::string_view text);

}  // namespace sallyport::json
