#include "mask/cell_scan.h"

#include <cstring>

namespace sallyport::mask {
namespace {

template <size_t kSize>
void CopyEnds(char* to, std::string_view text) {
  std::memcpy(to, text.data(), kSize);
  std::memcpy(to + text.size() - kSize, text.data() + text.size() - kSize, kSize);
}

}  // namespace

bool CellScan::ShortMayHold(std::string_view text) {
  // The words for codes that count without a card number beside them begin with a c, and the code
  // has three digits or more.
  size_t digits = 0;
  bool word = false;
  for (const char c : text) {
    digits += uint8_t(c - '0') < 10;
    word |= (c | 0x20) == 'c';
  }
  return word && digits >= 3;
}

void CellScan::Put(std::string_view text, size_t room, uint32_t id) {
  char* const to = buffer_.data() + size_;
  std::memset(to + room - 32, ' ', 32);
  if (text.size() < 16) {
    CopyEnds<8>(to, text);
  } else if (text.size() < 32) {
    CopyEnds<16>(to, text);
  } else if (text.size() <= 64) {
    CopyEnds<32>(to, text);
  } else {
    std::memcpy(to, text.data(), text.size());
  }
  starts_.Add(size_ / 32);
  texts_.ids[texts_.size_] = id;
  texts_.begins[texts_.size_++] = uint16_t(size_);
  size_ += room;
}

void CellScan::AddLong(std::string_view text, uint32_t id) {
  if (size_ > 0) Look();
  if (MayHoldCardData(text)) hits_.push_back(id);
}

void CellScan::Look() {
  regions_.clear();
  ScanCells({buffer_.data(), size_}, starts_, regions_);
  size_t k = 0;
  for (const Region& r : regions_) {
    while (k + 1 < texts_.size_ && texts_.begins[k + 1] <= r.begin) k++;
    for (; k < texts_.size_ && texts_.begins[k] < r.end; k++) hits_.push_back(texts_.ids[k]);
  }
  size_ = texts_.size_ = 0;
  starts_ = {};
}

}  // namespace sallyport::mask
