#include "mask/scan.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cstring>

#include "mask/decode.h"
#include "mask/digit_groups.h"
#include "mask/digit_run.h"
#include "mask/fold.h"
#include "mask/number_words.h"
#include "mask/scan_blocks.h"
#include "mask/scan_escapes.h"

namespace sallyport::mask {
namespace {

constexpr size_t kFirst = BlockBatch::kFirst;
constexpr uint64_t kAll = ~uint64_t(0);

bool IsUuid(std::string_view t) {
  if (t.size() != 36 || t[8] != '-' || t[13] != '-' || t[18] != '-' || t[23] != '-') return false;
  int hex = 0;
  for (char c : t)  // without a branch: four dashes and hexadecimal digits
    hex += (uint8_t(c - '0') < 10) | (uint8_t((c | 0x20) - 'a') < 6);
  return hex == 32;
}

/// Hexadecimal digits with a letter among them: with nothing else beside it no PIN block, which has
/// its name before it.
bool IsHash(std::string_view t) {
  bool digits = true;
  for (size_t i = 0; i + 16 <= t.size(); i += 16) {
    uint8_t bytes[8];
    if (!FromHex16(t.data() + i, bytes)) return false;
    uint64_t v;
    std::memcpy(&v, bytes, 8);
    // A nibble of ten or more carries into its fourth bit.
    digits &= (((v & 0x7777777777777777) + 0x6666666666666666) & v & 0x8888888888888888) == 0;
  }
  return !digits;
}

/// Calls f(bit) for each bit of a word, until f returns false.
template <class F>
bool EachBit(uint64_t bits, F f) {
  for (; bits != 0; bits &= bits - 1) {
    if (!f(size_t(std::countr_zero(bits)))) return false;
  }
  return true;
}

/// Runs of ones that go on over the borders of blocks, of at least `kLeast` ones.
template <size_t kLeast>
class RunsOfBits {
 public:
  /// f(begin, end) for each such run that ends in block k, in bits from the batch's first.
  template <class F>
  void InBlock(const uint64_t* masks, size_t k, F f) const {
    const uint64_t m = masks[k];
    if (m == kAll) return;
    const size_t lead = size_t(std::countr_zero(~m)), before = Trailing(masks, k);
    if (before + lead >= kLeast) f(ptrdiff_t(k * 64) - ptrdiff_t(before), k * 64 + lead);
    uint64_t r = Rows(m);
    if (lead < 64) r &= kAll << lead;
    while (r != 0) {
      const size_t s = size_t(std::countr_zero(r));
      const size_t e = s + size_t(std::countr_zero(~m >> s | (s ? kAll << (64 - s) : 0)));
      if (e >= 64) return;  // goes on in the next block
      f(ptrdiff_t(k * 64 + s), k * 64 + e);
      r &= kAll << e;
    }
  }
  /// The batch of `blocks` is over.
  void Carry(const uint64_t* masks, size_t blocks) { carry_ = Trailing(masks, blocks); }
  size_t carry() const { return carry_; }

 private:
  static uint64_t Rows(uint64_t m) {
    m &= m >> 1;
    m &= m >> 2;
    m &= m >> 4;
    return m & m >> (kLeast - 8);
  }
  /// Ones directly before block k.
  size_t Trailing(const uint64_t* masks, size_t k) const {
    size_t n = 0;
    while (k > 0 && masks[k - 1] == kAll) k--, n += 64;
    return k > 0 ? n + size_t(std::countl_zero(~masks[k - 1])) : n + carry_;
  }
  size_t carry_ = 0;
};

class Scanner {
 public:
  Scanner(std::string_view text, size_t from, std::vector<Region>& regions, bool first_only)
      : t_(text),
        from_(from),
        regions_(from, text.size(), regions),
        first_only_(first_only),
        walker_(text, from, regions_) {}

  /// The text is several ones, in one batch.
  void PartAt(const TextStarts& starts) {
    starts_ = starts.halves.data();
    batch_.firsts = starts.firsts;
  }
  size_t digits() const { return digits_; }

  /// Blocks stand at multiples of 64 of the text, so that a text stream, which keeps to them too,
  /// sees the same regions. The block before the first one is looked at for its digits only.
  void Run() {
    if (from_ >= t_.size()) return;
    const size_t first = from_ / 64 * 64;
    batch_.digits[kFirst - 2] = batch_.digits[kFirst - 1] = 0;
    batch_.token[kFirst - 1] = batch_.plain[kFirst - 1] = 0;
    walked_ = edged_ = first;
    if (first >= 64) {
      SiftBlocks(t_.data() + first - 64, 64, batch_);
      batch_.digits[kFirst - 1] = batch_.digits[kFirst];
      batch_.plain[kFirst - 1] = batch_.plain[kFirst];
    }
    for (at_ = first; at_ < t_.size() && !Done(); at_ += BlockBatch::kBlocks * 64) {
      blocks_ = std::min((t_.size() - at_ + 63) / 64, BlockBatch::kBlocks);
      SiftBlocks(t_.data() + at_, std::min(t_.size() - at_, BlockBatch::kBlocks * 64), batch_);
      digits_ += batch_.digit_count;
      Batch();
      regions_.Settle();
      NextBatch(batch_);
    }
    if (Done()) return;
    walker_.Finish();
    if (runs_.carry() >= 12) LookAtRun(t_, from_, t_.size() - runs_.carry(), t_.size(), regions_);
    if (tokens_.carry() >= 16) Token(t_.size() - tokens_.carry(), t_.size());
    regions_.Settle();
  }

 private:
  bool Done() const { return first_only_ && !regions_.Empty(); }
  char At(size_t i) const { return i < t_.size() ? t_[i] : '\0'; }
  uint64_t* Digits() { return batch_.digits + kFirst; }

  void Batch() {
    Words();
    if (at_ < from_) {  // what stands before is context
      const uint64_t keep = kAll << (from_ - at_);
      for (uint64_t* m : {batch_.digits, batch_.token, batch_.high, batch_.code, batch_.like})
        m[kFirst] &= keep;
    }
    EachBit(batch_.tokens, [&](size_t k) {
      tokens_.InBlock(batch_.token + kFirst, k,
                      [&](ptrdiff_t begin, size_t end) { Token(at_ + size_t(begin), at_ + end); });
      return !Done();
    });
    EachByte(batch_.highs, batch_.high, [&](size_t i) { LookAtHigh(t_, from_, i, regions_); });
    EachByte(batch_.codes, batch_.code, [&](size_t i) { Code(i); });
    EachByte(batch_.lookalikes, batch_.like, [&](size_t i) { Lookalike(i); });
    EachBit(batch_.long_runs, [&](size_t k) {
      runs_.InBlock(Digits(), k, [&](ptrdiff_t begin, size_t end) {
        LookAtRun(t_, from_, at_ + size_t(begin), at_ + end, regions_);
      });
      return !Done();
    });
    if (!Done()) Neighbours();
    tokens_.Carry(batch_.token + kFirst, blocks_);
    runs_.Carry(Digits(), blocks_);
  }

  /// f(position) for each bit of the masks of the blocks that are set.
  template <class F>
  void EachByte(uint64_t blocks, const uint64_t* masks, F f) {
    EachBit(blocks, [&](size_t k) {
      EachBit(masks[kFirst + k], [&](size_t i) {
        f(at_ + k * 64 + i);
        return true;
      });
      return !Done();
    });
  }

  /// Groups and edges are looked at in the blocks beside those that were sifted out, too.
  void Neighbours() {
    if (walker_.open()) Walk(0);
    const uint64_t groups = batch_.groups;
    if ((groups & 1) != 0 && at_ >= 64) Walk(-1);
    EachBit((groups | groups << 1 | groups >> 1 | uint64_t(groups_next_)) & Mask(), [&](size_t k) {
      Walk(ptrdiff_t(k));
      return true;
    });
    groups_next_ = (groups >> (blocks_ - 1) & 1) != 0;

    if ((batch_.busy & 1) != 0 && at_ >= 64) Edges(-1);
    EachBit(batch_.edges | uint64_t(busy_next_), [&](size_t k) {
      Edges(ptrdiff_t(k));
      return true;
    });
    busy_next_ = (batch_.busy >> (blocks_ - 1) & 1) != 0;
  }
  uint64_t Mask() const { return kAll >> (64 - blocks_); }

  /// Walks block k, and on while a group is open.
  void Walk(ptrdiff_t k) {
    const auto base = [&](ptrdiff_t j) { return at_ + size_t(j * 64); };
    if (base(k) < walked_) return;
    for (;; k++) {
      walker_.Walk(base(k), Digits()[k]);
      walked_ = base(k) + 64;
      if (!walker_.open() || k + 1 == ptrdiff_t(blocks_)) return;
    }
  }

  /// Escapes and markup directly beside digits.
  void Edges(ptrdiff_t k) {
    const size_t base = at_ + size_t(k * 64);
    if (base < edged_) return;
    edged_ = base + 64;
    const uint64_t d = Digits()[k], d_before = Digits()[k - 1];
    const uint64_t behind = (d << 1 | d_before >> 63) & ~d, starts = d & ~(d << 1 | d_before >> 63);
    if (behind == 0 && starts == 0) return;
    LookAtEdges(t_, from_, base, behind, starts, regions_);
  }

  // ---- blobs

  /// Looks at a blob; takes the digits of a UUID out of the masks, they are never a card number.
  void Token(size_t b, size_t e) {
    const std::string_view token = t_.substr(b, e - b);
    if (IsUuid(token)) {
      for (size_t i = std::max(b, at_); i < std::min(e, at_ + blocks_ * 64);) {
        const size_t bit = (i - at_) % 64, n = std::min<size_t>(64 - bit, e - i);
        Digits()[(i - at_) / 64] &= ~((kAll >> (64 - n)) << bit);
        i += n;
      }
      return;
    }
    if (MayBeBlob(token)) return regions_.Add(b, e);
    const size_t n = e - b - (token[0] == '0' && (token[1] | 0x20) == 'x' ? 2 : 0);
    if (n != 16 && n != 32) return;  // of a PIN block
    const size_t begin = BeginOf(b);
    if (b == begin && IsHash(token) && IsBlank(e)) return;
    if (HasCodeBigram(t_.data() + begin, b - begin)) regions_.Add(b, e);
  }
  /// Where the text begins that this place is in.
  size_t BeginOf(size_t at) const {
    if (starts_ == nullptr) return 0;
    const size_t half = at / 32, word = half / 64;
    const uint64_t upto = starts_[word] << (63 - half % 64);
    if (upto != 0) return (half - size_t(std::countl_zero(upto))) * 32;
    return word == 0 ? 0 : (63 - size_t(std::countl_zero(starts_[0] | 1))) * 32;
  }
  /// The first text that begins behind this place, or the end.
  size_t EndOf(size_t at) const {
    if (starts_ == nullptr) return t_.size();
    const size_t half = at / 32 + 1, word = half / 64;
    const uint64_t behind = word < 2 ? starts_[word] >> (half % 64) : 0;
    if (behind != 0) return (half + size_t(std::countr_zero(behind))) * 32;
    return word == 0 && starts_[1] != 0 ? (64 + size_t(std::countr_zero(starts_[1]))) * 32
                                        : t_.size();
  }
  /// Up to the end of its text there are spaces only.
  bool IsBlank(size_t at) const {
    const size_t end = EndOf(at - 1);
    return end - at <= 64 && t_.substr(at, end - at).find_first_not_of(' ') == t_.npos;
  }

  // ---- the rest

  /// "4l", "3O5": a letter that looks like a digit behind one.
  void Lookalike(size_t i) {
    const auto digit = [](char c) { return c >= '0' && c <= '9'; };
    const auto like = [](char c) { return c == 'l' || c == 'I' || c == 'O' || c == 'o'; };
    if (i > from_ && digit(t_[i - 1]) && (like(At(i + 1)) || digit(At(i + 1))))
      regions_.Around(i, 20, 40);
  }
  /// "cv…" announces a verification code; "curit" stands in "security code" and its sisters.
  void Code(size_t i) {
    const char b = char(At(i + 1) | 0x20);
    if (b == 'v') return regions_.Add(i, i + 48);
    if (b == 'u' && t_.size() - i >= 5 && (t_[i + 2] | 0x20) == 'r' && (t_[i + 3] | 0x20) == 'i' &&
        (t_[i + 4] | 0x20) == 't') {
      regions_.Around(i, 8, 56);
    }
  }

  /// A number that is spelled out is longer than two halves of a block, so one word in each is
  /// enough to notice it.
  void Words() {
    for (size_t part = 0; part < 2; part++) {
      EachBit(batch_.words[part], [&](size_t bit) {
        const size_t half = part * 64 + bit, shift = half % 2 * 32;
        Word(at_ + half * 32, batch_.token[kFirst + half / 2] >> shift);
        return !Done();
      });
    }
  }
  /// The first word behind a gap: one before it may be cut.
  void Word(size_t base, uint64_t token) {
    const uint64_t gap = ~token & (token + 1), rest = token & ~(gap | (gap - 1));
    if (rest == 0) return;
    const size_t w = size_t(std::countr_zero(rest)), n = size_t(std::countr_one(rest >> w));
    if (n < 2 || n > 6 || !MayBeNumberWord(t_[base + w], t_[base + w + 1])) return;
    if (!IsNumberWord(t_.substr(base + w, n))) return;
    regions_.Around(base + w, 128, 160);
  }

  std::string_view t_;
  size_t from_;
  Regions regions_;
  bool first_only_;
  const uint64_t* starts_ = nullptr;
  size_t digits_ = 0;
  BlockBatch batch_;
  size_t at_ = 0, blocks_ = 0;  // the batch begins here and has so many blocks
  RunsOfBits<16> tokens_;
  RunsOfBits<12> runs_;
  GroupWalker walker_;
  size_t walked_ = 0, edged_ = 0;  // the text before was looked at
  bool groups_next_ = false, busy_next_ = false;
};

}  // namespace

void ScanText(std::string_view text, size_t from, ScanResult& result) {
  Scanner scanner(text, from, result.regions, false);
  scanner.Run();
  result.digits += scanner.digits();
}

void ScanCells(std::string_view texts, const TextStarts& starts, std::vector<Region>& regions) {
  Scanner scanner(texts, 0, regions, false);
  scanner.PartAt(starts);
  scanner.Run();
}

bool MayHoldCardData(std::string_view bytes) {
  std::vector<Region> regions;
  Scanner(bytes, 0, regions, true).Run();
  return !regions.empty();
}

bool MayHoldCardDataInJson(std::string_view json, bool& direct) {
  std::vector<Region> regions;
  Scanner scanner(json, 0, regions, true);
  scanner.Run();
  direct = !regions.empty();
  return direct || scanner.digits() >= 13;
}

}  // namespace sallyport::mask
