#include <algorithm>

#include "pg/row_mask.h"

namespace sallyport::pg {
namespace {

constexpr size_t kWindow = 64 << 10;
constexpr size_t kContext = 4 << 10;  // kept on both sides of what is emitted

bool Counts(char c) {
  return (c >= '0' && c <= '9') || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') ||
         static_cast<unsigned char>(c) >= 0x80;
}

void Star(std::string& text, size_t begin, size_t end) {
  for (size_t i = begin; i < end; ++i) {
    if (Counts(text[i])) text[i] = '*';
  }
}

}  // namespace

void LongMask::Feed(std::string_view piece, std::string& out) {
  switch (how_) {
    case RowMask::Long::pass:
      out.append(piece);
      return;
    case RowMask::Long::star:
      out.append(piece.size(), '*');
      found_ = 1;
      return;
    case RowMask::Long::scan:
      break;
  }
  while (!piece.empty()) {
    const size_t n = std::min(piece.size(), kWindow + 2 * kContext - held_.size());
    held_.append(piece.substr(0, n));
    piece.remove_prefix(n);
    if (held_.size() == kWindow + 2 * kContext) Judge(false, out);
  }
}

void LongMask::Finish(std::string& out) {
  if (how_ == RowMask::Long::scan) Judge(true, out);
  held_.clear();
  done_ = 0;
}

/// Overwrites what is found in the window and emits all but its last part, which may belong to
/// something that is not complete.
void LongMask::Judge(bool last, std::string& out) {
  size_t end = last ? held_.size() : held_.size() - kContext;
  if (masker_->MayContain(held_)) {
    std::vector<mask::Finding> findings;
    masker_->FindText(held_, {}, findings);
    for (const mask::Finding& f : findings) {
      if (f.end <= done_) continue;
      ++found_;
      // What reaches into the part that stays is overwritten as far as it is known, and again with
      // the next window; the last four digits are shown only of what is whole.
      size_t keep = f.end;
      if (f.kind == mask::DetectorKind::pan && f.end <= end && f.end - f.begin < 64) {
        for (size_t digits = 0; keep > f.begin && digits < 4; --keep)
          digits += held_[keep - 1] >= '0' && held_[keep - 1] <= '9';
      }
      Star(held_, std::max(f.begin, done_), keep);
    }
  }
  out.append(held_, done_, end - done_);
  const size_t drop = end > kContext ? end - kContext : 0;
  held_.erase(0, drop);
  done_ = end - drop;
}

}  // namespace sallyport::pg
