#include "mask/bare_number.h"

#include <algorithm>
#include <array>

#include "mask/pan_window.h"
#include "mask/scan_blocks.h"

namespace sallyport::mask {
namespace {

// Further than any word for a card, a code or another number is looked for.
constexpr size_t kQuietMargin = 192;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// The digits, and what stands beside them.
class BareNumber {
 public:
  BareNumber(std::string_view text, const Region& r) : t_(text), b_(r.begin), e_(r.end) {}

  /// 4111-1111-1111-1111 or with spaces, a cell of its own.
  bool IsGrouped() const {
    if (e_ - b_ != 19) return false;
    const char gap = t_[b_ + 4];
    if (gap != '-' && gap != ' ') return false;
    for (size_t i = 0; i < 19; i++) {
      if (i % 5 == 4 ? t_[b_ + i] != gap : !IsDigit(t_[b_ + i])) return false;
    }
    const auto is_border = [](char c) { return c == ',' || c == '"' || c == '|' || c == '\''; };
    return (b_ == 0 || is_border(t_[b_ - 1])) && (e_ == t_.size() || is_border(t_[e_]));
  }
  bool IsRun() const {
    if (e_ - b_ < 12 || e_ - b_ > 19) return false;
    if (!std::ranges::all_of(t_.substr(b_, e_ - b_), IsDigit)) return false;
    return !IsDigit(At(e_)) && (b_ == 0 || !IsDigit(t_[b_ - 1])) && !IsFraction();
  }
  bool IsQuietAround() const {
    const size_t from = b_ - std::min(b_, kQuietMargin);
    return IsQuiet(t_.data() + from, std::min(t_.size(), e_ + kQuietMargin) - from);
  }
  /// "+1": the sum may be the number.
  bool IsSummand() const { return At(e_) == '+' || (At(e_) == ' ' && At(e_ + 1) == '+'); }
  /// An expiry and code, or groups that may make another number with the last four digits.
  bool GoesOn() const {
    size_t i = e_;
    while (i < t_.size() && i - e_ < 5 && !IsDigit(t_[i])) i++;
    if (i == t_.size() || i - e_ > 4) return false;
    char mark = ' ';  // two that differ part groups (GapBetween)
    for (char c : t_.substr(e_, i - e_)) {
      if (c != ' ' && mark != ' ' && c != mark) return false;
      if (c != ' ') mark = c;
    }
    size_t end = i;
    while (end < t_.size() && end - i < 20 && IsDigit(t_[end])) end++;
    const char next = At(end);
    if (end - i < 4) return next == '/' || next == '-' || next == '\n' || next == '\r';
    return end - i == 4 || kLengthsOfPrefix4[Number(e_ - 4, 4)] != 0;
  }
  /// Length, type or expiry inside the run (structure.cc).
  bool MayBeRecord() const {
    const size_t n = e_ - b_;
    return n >= 18 || (n >= 14 && Number(b_, 2) == n - 2);
  }
  bool IsWhole() const { return IsWholeText(t_, b_, e_); }
  int Digits(uint8_t* d) const {
    int n = 0;
    for (char c : t_.substr(b_, e_ - b_)) {
      if (IsDigit(c)) d[n++] = uint8_t(c - '0');
    }
    return n;
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

bool Accepts(const BareNumber& number, const IinMatch& match, const Context& context,
             HintClass hint, bool card) {
  if (hint == HintClass::other_number) return false;
  const bool soft = !card && hint == HintClass::identifier;
  switch (match.trust) {
    case Trust::strong:
      return true;
    case Trust::medium:
      return !soft;
    case Trust::weak:
      return card || (!soft && number.IsWhole());
    case Trust::context:
      return card || (!soft && context.hint.empty() && number.IsWhole());
  }
  return false;
}

}  // namespace

BareVerdict JudgeBareNumber(std::string_view text, const Region& region, const Context& context,
                            HintClass hint) {
  const BareNumber number(text, region);
  BareVerdict verdict;
  const bool run = number.IsRun();
  if ((!run && !number.IsGrouped()) || number.IsSummand() || !number.IsQuietAround())
    return verdict;
  uint8_t d[20];
  const int n = number.Digits(d);
  const auto match = LookUpIin(d, n);
  const bool same = std::ranges::all_of(d, d + n, [&](uint8_t v) { return v == d[0]; });
  const bool card = hint == HintClass::card || hint == HintClass::track || context.card_object;
  verdict.card = match && !same && LuhnOk(d, n) && Accepts(number, *match, context, hint, card) &&
                 !InsideOtherToken(text, region.begin, region.end);
  verdict.decided = verdict.card ? !number.GoesOn() : run && !number.MayBeRecord();
  if (verdict.card) {
    verdict.match = *match;
    verdict.evidence = (run ? kContiguous : kGrouped) | kLuhn | kIin | (card ? kContext : 0u);
  }
  return verdict;
}

}  // namespace sallyport::mask
