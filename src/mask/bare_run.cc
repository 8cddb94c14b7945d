#include "mask/bare_run.h"

#include <algorithm>
#include <array>

#include "mask/pan_window.h"
#include "mask/scan_blocks.h"

namespace sallyport::mask {
namespace {

// Further than any word for a card, a code or another number is looked for.
constexpr size_t kQuietMargin = 192;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// The run, and what stands on its right.
class BareRun {
 public:
  BareRun(std::string_view text, const Region& r) : t_(text), b_(r.begin), e_(r.end) {}

  bool IsOne() const {
    if (e_ - b_ < 12 || e_ - b_ > 19) return false;
    if (!std::ranges::all_of(t_.substr(b_, e_ - b_), IsDigit)) return false;
    return !IsDigit(At(e_)) && (b_ == 0 || !IsDigit(t_[b_ - 1])) && !IsFraction();
  }
  bool IsQuietAround() const {
    const size_t from = b_ - std::min(b_, kQuietMargin);
    return IsQuiet(t_.data() + from, std::min(t_.size(), e_ + kQuietMargin) - from);
  }
  /// A sum, an expiry and code, or another group that may make a number with the last digits.
  bool GoesOn() const {
    size_t i = e_;
    while (i < t_.size() && i - e_ < 5 && !IsDigit(t_[i])) i++;
    const std::string_view gap = t_.substr(e_, i - e_);
    if (i == t_.size() || gap.size() > 4) return gap.find('+') != gap.npos;
    if (gap[0] == '+' || gap.starts_with(" +")) return true;
    // ",+" and the like part groups (GapBetween): two marks that differ
    char mark = ' ';
    for (char c : gap) {
      if (c != ' ' && mark != ' ' && c != mark) return false;
      if (c != ' ') mark = c;
    }
    size_t end = i;
    while (end < t_.size() && end - i < 20 && IsDigit(t_[end])) end++;
    const char next = At(end);
    const bool expiry = end - i == 4 || (end - i <= 2 && (next == '/' || next == '-'));
    return expiry || kLengthsOfPrefix4[Number(e_ - 4, 4)] != 0;
  }
  /// Length, type or expiry inside the run (structure.cc).
  bool MayBeRecord() const {
    const size_t n = e_ - b_;
    return n >= 18 || (n >= 14 && Number(b_, 2) == n - 2);
  }
  bool IsWhole() const { return IsWholeText(t_, b_, e_); }
  int Digits(uint8_t* d) const {
    for (size_t i = b_; i < e_; i++) d[i - b_] = uint8_t(t_[i] - '0');
    return int(e_ - b_);
  }

 private:
  char At(size_t i) const { return i < t_.size() ? t_[i] : '\0'; }
  bool IsFraction() const { return b_ >= 2 && t_[b_ - 1] == '.' && IsDigit(t_[b_ - 2]); }
  size_t Number(size_t at, size_t n) const {
    size_t v = 0;
    for (size_t i = at; i < at + n; i++) v = v * 10 + size_t(t_[i] - '0');
    return v;
  }

  std::string_view t_;
  size_t b_, e_;
};

bool Accepts(const BareRun& run, const IinMatch& match, const Context& context, HintClass hint,
             bool card) {
  if (hint == HintClass::other_number) return false;
  const bool soft = !card && hint == HintClass::identifier;
  switch (match.trust) {
    case Trust::strong:
      return true;
    case Trust::medium:
      return !soft;
    case Trust::weak:
      return card || (!soft && run.IsWhole());
    case Trust::context:
      return card || (!soft && context.hint.empty() && run.IsWhole());
  }
  return false;
}

}  // namespace

BareVerdict JudgeBareRun(std::string_view text, const Region& region, const Context& context,
                         HintClass hint) {
  const BareRun run(text, region);
  BareVerdict verdict;
  if (!run.IsOne() || !run.IsQuietAround() || run.GoesOn()) return verdict;
  uint8_t d[20];
  const int n = run.Digits(d);
  const auto match = LookUpIin(d, n);
  const bool same = std::ranges::all_of(d, d + n, [&](uint8_t v) { return v == d[0]; });
  const bool card = hint == HintClass::card || hint == HintClass::track || context.card_object;
  verdict.card = match && !same && LuhnOk(d, n) && Accepts(run, *match, context, hint, card) &&
                 !InsideOtherToken(text, region.begin, region.end);
  verdict.decided = verdict.card || !run.MayBeRecord();
  if (verdict.card) {
    verdict.match = *match;
    verdict.evidence = kContiguous | kLuhn | kIin | (card ? kContext : 0u);
  }
  return verdict;
}

}  // namespace sallyport::mask
