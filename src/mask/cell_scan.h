#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "mask/scan.h"

namespace sallyport::mask {

/// The first look (scan.h) at many short texts, the cells of rows. One scan looks at all that fit
/// into a batch of its blocks, instead of one scan for each. Each text begins at a half of a block,
/// with a space or more behind the one before it, so what stands in one is looked at as if it stood
/// alone; what is near the end of one and the beginning of the next may be named needlessly, never
/// be missed. Not thread-safe; keeps its buffers for the next time.
class CellScan {
 public:
  /// A longer text is looked at where it stands.
  static constexpr size_t kLongest = 1024;

  void Clear() {
    size_ = texts_.size_ = 0;
    hits_.clear();
  }
  /// `id` names the text in hits().
  void Add(std::string_view text, uint32_t id) {
    if (text.size() < kLeast) {
      if (ShortMayHold(text)) hits_.push_back(id);
    } else if (text.size() > kLongest) {
      AddLong(text, id);
    } else {
      const size_t n = (text.size() / 32 + 1) * 32;
      if (size_ + n > kBatch) Look();
      Put(text, n, id);
    }
  }
  /// Looks at what was not looked at yet.
  void Finish() {
    if (size_ > 0) Look();
  }
  /// The texts that MayHoldCardData of themselves, and perhaps some more; in order when Finish was
  /// called, but for short ones and long ones, which come at once.
  const std::vector<uint32_t>& hits() const { return hits_; }

  /// Whether there may be anything in a text of fewer than kLeast bytes: no card number, which has
  /// twelve digits, nothing encoded, only a verification code behind its word.
  static bool ShortMayHold(std::string_view text);

 private:
  static constexpr size_t kLeast = 12, kBatch = 4096;

  struct Texts {
    std::array<uint32_t, kBatch / 32> ids;
    std::array<uint16_t, kBatch / 32> begins;
    size_t size_ = 0;
  };

  void Put(std::string_view text, size_t room, uint32_t id);
  void AddLong(std::string_view text, uint32_t id);
  void Look();

  alignas(64) std::array<char, kBatch> buffer_;
  size_t size_ = 0;
  Texts texts_;
  TextStarts starts_;
  std::vector<Region> regions_;
  std::vector<uint32_t> hits_;
};

}  // namespace sallyport::mask
