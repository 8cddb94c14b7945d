#include "mask/json_tree.h"

#include <algorithm>

namespace sallyport::mask {

bool JsonTree::Scan(std::string_view json, size_t max_depth) {
  json_ = json;
  if (!ScanJson(json, max_depth, nodes_)) return false;
  kept_.assign(nodes_.size(), false);
  return true;
}

std::string_view JsonTree::Token(uint32_t i) const {
  return json_.substr(nodes_[i].begin, nodes_[i].end - nodes_[i].begin);
}

std::string JsonTree::KeyOf(uint32_t i) const {
  const JsonNode& n = nodes_[i];
  if (n.has_key()) return DecodeJsonString(json_.substr(n.key_begin, n.key_end - n.key_begin)).text;
  if (n.parent >= 0) return KeyOfParent(uint32_t(n.parent));
  return {};
}

std::string JsonTree::KeyOfParent(uint32_t i) const {  // an element is named by its array
  while (!nodes_[i].has_key() && nodes_[i].parent >= 0 && nodes_[i].type == JsonType::array)
    i = uint32_t(nodes_[i].parent);
  const JsonNode& n = nodes_[i];
  return n.has_key() && n.type == JsonType::array
             ? DecodeJsonString(json_.substr(n.key_begin, n.key_end - n.key_begin)).text
             : std::string();
}

std::string JsonTree::Segment(uint32_t i) const {
  const JsonNode& n = nodes_[i];
  if (!n.has_key()) return std::to_string(n.index);
  if (hidden_keys_.contains(i)) return "*";
  std::string out;
  for (char c : DecodeJsonString(json_.substr(n.key_begin, n.key_end - n.key_begin)).text) {
    out += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
  }
  return out;
}

std::string JsonTree::Pointer(uint32_t i) const {
  std::vector<uint32_t> path;
  for (int32_t k = int32_t(i); nodes_[size_t(k)].parent >= 0; k = nodes_[size_t(k)].parent)
    path.push_back(uint32_t(k));
  std::string out;
  for (auto k = path.rbegin(); k != path.rend(); ++k) out += "/" + Segment(*k);
  return out;
}

void JsonTree::MarkKept(uint32_t i, std::string_view pattern) {
  if (pattern.empty()) {
    std::fill(kept_.begin() + i, kept_.begin() + nodes_[i].next, true);
    return;
  }
  if (pattern[0] != '/' || nodes_[i].type == JsonType::string) return;
  const size_t a = std::min(pattern.find('/', 1), pattern.size());
  const std::string_view want = pattern.substr(1, a - 1);
  for (uint32_t k = i + 1; k < nodes_[i].next; k = nodes_[k].next) {
    if (want == "*" || Segment(k) == want) MarkKept(k, pattern.substr(a));
  }
}

bool PointerMatches(std::string_view pattern, std::string_view pointer) {
  while (!pattern.empty() && !pointer.empty()) {
    const size_t a = std::min(pattern.find('/', 1), pattern.size()),
                 b = std::min(pointer.find('/', 1), pointer.size());
    if (pattern.substr(0, a) != "/*" && pattern.substr(0, a) != pointer.substr(0, b)) return false;
    pattern.remove_prefix(a);
    pointer.remove_prefix(b);
  }
  return pattern.empty() && pointer.empty();
}

}  // namespace sallyport::mask
