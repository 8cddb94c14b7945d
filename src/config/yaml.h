#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "config/problem.h"

namespace sallyport::config {

/// A place in the file; both count from 1.
struct Mark {
  int line = 0, column = 0;
};

/// A YAML value with its place. Members keep the order of the file; a key that occurs twice is
/// reported and its second value dropped.
struct Node {
  enum class Kind : uint8_t { null, scalar, sequence, map };
  struct Member;

  Kind kind = Kind::null;
  Mark mark;
  std::string text;     // of a scalar
  bool quoted = false;  // of a scalar: it is text whatever it looks like
  std::vector<Node> items;
  std::vector<Member> members;

  bool is(Kind k) const { return kind == k; }
};

struct Node::Member {
  std::string key;
  Mark mark;
  Node value;
};

/// Bounds that hold while a file is read, so that no file can exhaust the reader.
struct YamlLimits {
  size_t max_bytes = 1 << 20;
  size_t max_depth = 32;
  size_t max_nodes = 200'000;
};

/// Reads one YAML document. Problems (syntax, aliases, duplicate keys, beyond the limits) are
/// appended with `file` as their file; then what was read so far is returned, which may be nothing.
/// Aliases are refused: they let a small file stand for a huge one. Thread-safe.
Node ReadYaml(std::string_view text, const std::string& file, std::vector<Problem>& problems,
              const YamlLimits& limits = {});

/// "a map", "a list", "text" … for messages.
std::string_view KindName(Node::Kind kind);

}  // namespace sallyport::config
