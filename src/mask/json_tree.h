#pragma once

#include <cstdint>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mask/json_scan.h"

namespace sallyport::mask {

/// A scanned JSON text with the names and pointers of its values. The text must outlive it.
class JsonTree {
 public:
  /// False as ScanJson.
  bool Scan(std::string_view json, size_t max_depth);

  const std::vector<JsonNode>& nodes() const { return nodes_; }
  std::string_view Token(uint32_t i) const;
  /// The member's key, or the key of the array that it is an element of; empty when there is none.
  std::string KeyOf(uint32_t i) const;
  /// RFC 6901; a hidden key stands as `*`.
  std::string Pointer(uint32_t i) const;
  void HideKey(uint32_t i) { hidden_keys_.insert(i); }

  /// Nodes under a pointer pattern (JsonOptions::keep) are not looked into.
  void Keep(std::string_view pattern) { MarkKept(0, pattern); }
  bool kept(uint32_t i) const { return kept_[i]; }

 private:
  std::string KeyOfParent(uint32_t i) const;
  std::string Segment(uint32_t i) const;
  void MarkKept(uint32_t i, std::string_view pattern);

  std::string_view json_;
  std::vector<JsonNode> nodes_;
  std::vector<bool> kept_;
  std::set<uint32_t> hidden_keys_;
};

/// Whether a pointer fits a pattern in which the segment `*` stands for any one.
bool PointerMatches(std::string_view pattern, std::string_view pointer);

}  // namespace sallyport::mask
