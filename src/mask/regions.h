#pragma once

#include <algorithm>
#include <cstddef>
#include <vector>

namespace sallyport::mask {

/// A stretch of text in which something may begin or be. A number lies in or touches its region.
struct Region {
  size_t begin, end;
};

/// Collects regions of one text, cut to [from, size). Settle puts them in order, and makes one of
/// those that touch.
class Regions {
 public:
  Regions(size_t from, size_t size, std::vector<Region>& regions)
      : from_(from), size_(size), regions_(regions) {}

  void Add(size_t begin, size_t end) {
    regions_.push_back({std::max(begin, from_), std::min(end, size_)});
  }
  /// From `back` bytes before `at`, or the begin of the text, to `on` bytes behind it.
  void Around(size_t at, size_t back, size_t on) { Add(at - std::min(at, back), at + on); }

  bool Empty() const { return regions_.empty(); }

  void Settle() {
    if (settled_ == regions_.size()) return;
    std::sort(regions_.begin() + ptrdiff_t(settled_), regions_.end(),
              [](const Region& a, const Region& b) { return a.begin < b.begin; });
    size_t kept = settled_;
    for (size_t i = settled_; i < regions_.size(); i++) {
      Region r = regions_[i];
      for (; kept > 0 && regions_[kept - 1].end >= r.begin; kept--) {
        r.begin = std::min(r.begin, regions_[kept - 1].begin);
        r.end = std::max(r.end, regions_[kept - 1].end);
      }
      regions_[kept++] = r;
    }
    regions_.resize(settled_ = kept);
  }

 private:
  size_t from_, size_, settled_ = 0;
  std::vector<Region>& regions_;
};

}  // namespace sallyport::mask
