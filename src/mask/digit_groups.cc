#include "mask/digit_groups.h"

#include <algorithm>
#include <bit>

#include "mask/digit_run.h"
#include "mask/iin_table.h"
#include "mask/number_words.h"

namespace sallyport::mask {
namespace {

constexpr size_t kJoined = 4;    // a wider gap parts groups
constexpr size_t kEvenGap = 10;  // … except those at an even distance
constexpr size_t kEvenCount = 12;

bool IsAlpha(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

/// The sizes of three groups, or of the first three of four, as hexadecimal digits.
bool IsThreeShape(uint64_t sizes) {
  switch (sizes) {
    case 0x444:
    case 0x465:
    case 0x464:
    case 0x448:
    case 0x484:
    case 0x844:
    case 0x664:
    case 0x665:
    case 0x666:
    case 0x667:
    case 0x555:
    case 0x556:
    case 0x554:
    case 0x883:
    case 0x882:
    case 0x881:
    case 0x646:
    case 0x475:
      return true;
    default:
      return false;
  }
}
/// Four groups of four with a line break inside one of them.
bool IsBrokenShape(uint64_t sizes) {
  switch (sizes) {
    case 0x13444:
    case 0x22444:
    case 0x31444:
    case 0x41344:
    case 0x42244:
    case 0x43144:
    case 0x44134:
    case 0x44224:
    case 0x44314:
    case 0x44413:
    case 0x44422:
    case 0x44431:
      return true;
    default:
      return false;
  }
}

}  // namespace

void GroupWalker::Walk(size_t base, uint64_t digits) {
  uint64_t pos = 0;
  while (pos < 64) {
    if (!open_) {
      const uint64_t rest = digits >> pos;
      if (rest == 0) return;
      pos += uint64_t(std::countr_zero(rest));
      begin_ = base + pos;
      open_ = true;
    }
    const uint64_t gap = ~digits >> pos;
    if (gap == 0) return;
    pos += uint64_t(std::countr_zero(gap));
    if (pos >= 64) return;
    End(base + pos);
  }
}

void GroupWalker::End(size_t end) {
  open_ = false;
  const size_t b = begin_, n = end - b, gap = b - last_end_;
  if (count_ > 0 && n == last_size_ && gap == last_gap_ && gap <= kEvenGap) {
    if (++even_ >= kEvenCount) regions_.Add(even_begin_, end + 8);
  } else {
    even_ = count_ > 0 && n == last_size_ && gap <= kEvenGap ? 2 : 1;
    even_begin_ = even_ == 2 ? begins_[(count_ + 7) & 7] : b;
  }
  if (gap > kJoined) history_ = 0;
  last_gap_ = gap;
  last_size_ = n;
  last_end_ = end;
  history_ = history_ << 4 | std::min<size_t>(n, 15);
  begins_[count_ & 7] = b;
  sizes_[count_ & 7] = n;
  count_++;
  if (history_ > 15) Shapes(end, gap);
}

void GroupWalker::Shapes(size_t end, size_t gap) {
  const uint64_t h = history_, b = h & 15, a = h >> 4 & 15;
  if (a >= 4 && b >= 2 && a + b >= 12) {  // halves
    const char g = t_[end - sizes_[(count_ - 1) & 7] - gap];
    if (g == ' ' || g == '-' || g == '.' || (g & 0x80)) Try(2, end);
  }
  if (IsThreeShape(h & 0xfff)) Try(3, end);
  if ((h & 0xfff) == 0x444) ThreeFours(end);
  if ((h >> 4 & 0xfff) == 0x444 || (h >> 4 & 0xfff) == 0x555) Try(4, end);
  if (IsBrokenShape(h & 0xfffff) || (h >> 4 & 0xffff) == 0x4444) Try(5, end);
}

/// The last `groups` groups as one number.
void GroupWalker::Try(uint32_t groups, size_t end) {
  if (count_ < groups) return;
  if (kLengthsOfPrefix4[Prefix4(groups)] == 0) return;
  uint8_t d[24];
  int n = 0;
  for (uint32_t k = groups; k > 0; k--) {
    const uint32_t g = (count_ - k) & 7;
    if (n + int(std::min<size_t>(sizes_[g], 20)) > 19) return;
    for (size_t i = 0; i < sizes_[g]; i++) d[n++] = uint8_t(t_[begins_[g] + i] - '0');
  }
  const size_t b = begins_[(count_ - groups) & 7];
  if (PlausibleNumber(d, n, t_, b)) regions_.Add(b, end);
}

/// The first four digits of the last `groups` groups, 0 when there are fewer.
size_t GroupWalker::Prefix4(uint32_t groups) const {
  size_t v = 0, n = 0;
  for (uint32_t k = groups; k > 0; k--) {
    const uint32_t g = (count_ - k) & 7;
    for (size_t i = 0; i < sizes_[g]; i++) {
      v = v * 10 + size_t(t_[begins_[g] + i] - '0');
      if (++n == 4) return v;
    }
  }
  return 0;
}

/// Three groups of four, and the first one is spelled out before them.
void GroupWalker::ThreeFours(size_t end) {
  const size_t b = begins_[(count_ - 3) & 7];
  size_t e = b;
  while (e > from_ && b - e < 4 && !IsAlpha(t_[e - 1])) e--;
  size_t w = e;
  while (w > from_ && e - w < 8 && IsAlpha(t_[w - 1])) w--;
  if (IsNumberWord(t_.substr(w, e - w))) regions_.Around(b, 64, end - b);
}

}  // namespace sallyport::mask
