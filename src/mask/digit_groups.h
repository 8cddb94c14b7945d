#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "mask/regions.h"

namespace sallyport::mask {

/// Walks over groups of digits and adds a region where the last ones have sizes in which card
/// numbers are written and, read together, are a plausible number; and where at least twelve groups
/// of one size follow each other at one distance (digits written one by one, or as escapes).
class GroupWalker {
 public:
  GroupWalker(std::string_view text, size_t from, Regions& regions)
      : t_(text), from_(from), regions_(regions) {}

  /// The digits of text[base, base + 64), one bit per byte. Blocks come in order; those without
  /// groups of interest may be left out, but not the one after a block that ends in a digit.
  void Walk(size_t base, uint64_t digits);
  /// A group is open at the end of the last block.
  bool open() const { return open_; }
  void Finish() {
    if (open_) End(t_.size());
  }

 private:
  void End(size_t end);
  void Shapes(size_t end, size_t gap);
  void Try(uint32_t groups, size_t end);
  size_t Prefix4(uint32_t groups) const;
  void ThreeFours(size_t end);

  std::string_view t_;
  size_t from_;
  Regions& regions_;
  bool open_ = false;
  size_t begin_ = 0, last_end_ = 0, last_size_ = 0, last_gap_ = ~size_t(0);
  uint64_t history_ = 0;  // the sizes of the last groups that stand together, four bits each
  uint32_t count_ = 0;
  size_t even_ = 0, even_begin_ = 0;
  std::array<size_t, 8> begins_{}, sizes_{};
};

}  // namespace sallyport::mask
