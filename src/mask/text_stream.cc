#include "mask/text_stream.h"

#include <algorithm>
#include <array>

#include "mask/frames.h"

namespace sallyport::mask {
namespace {

constexpr size_t kLookBack = 256;   // emitted bytes that later decisions may look at
constexpr size_t kLookAhead = 224;  // bytes after a number that its decision may look at
constexpr size_t kQuiet = 64;       // a stretch without anything of interest breaks every number

bool IsBlank(char c) { return c == ' ' || c == '\n' || c == '\t' || c == '\r'; }
bool IsAlpha(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// A byte that may be part of a number, an escape, markup or a record.
bool IsInteresting(char c) {
  const auto b = static_cast<unsigned char>(c);
  return IsDigit(c) || b >= 0x80 || c == '%' || c == '&' || c == '\\' || c == '=' || c == '<' ||
         c == ';' || c == '^' || c == '*' || b == 0x1b;
}

/// Words whose value may follow, and digits spelled as words or look-alikes, must not be cut off.
constexpr std::string_view kHooks[] = {
    "cv",   "pin",  "csc",   "cid",  "code",  "block", "value", "ziffer", "segur", "digo",  "zero",
    "one",  "two",  "three", "four", "five",  "six",   "seven", "eight",  "nine",  "oh ",   "null",
    "eins", "zwei", "zwo",   "drei", "vier",  "nf ",   "fuenf", "sechs",  "sieb",  "acht",  "neun",
    "cero", "uno",  "dos",   "tres", "cuatr", "cinco", "seis",  "siete",  "ocho",  "nueve", "un ",
    "deux", "troi", "quatr", "cinq", "sept",  "huit",  "neuf",  "doub",   "tripl", "doppel"};
/// One bit per second letter, by the first.
constexpr auto kHookBegins = [] {
  std::array<uint32_t, 32> t{};
  for (std::string_view h : kHooks) t[h[0] & 31] |= uint32_t(1) << (h[1] & 31);
  return t;
}();
bool StartsWithLower(std::string_view text, std::string_view lower) {
  if (text.size() < lower.size()) return false;
  for (size_t i = 0; i < lower.size(); i++) {
    const char c = text[i] >= 'A' && text[i] <= 'Z' ? char(text[i] | 0x20) : text[i];
    if (c != lower[i]) return false;
  }
  return true;
}
bool HasHook(std::string_view tail) {
  for (size_t i = 0; i + 1 < tail.size(); i++) {
    if (!(kHookBegins[tail[i] & 31] >> (tail[i + 1] & 31) & 1)) continue;
    const std::string_view at = tail.substr(i);
    if (std::ranges::any_of(kHooks, [&](std::string_view h) { return StartsWithLower(at, h); }))
      return true;
  }
  return false;
}

/// A word made of letters that look like digits ("lll", "OO").
bool IsOddWord(std::string_view w) {
  return w.size() > 1 && w.find_first_not_of("lIOo") == std::string_view::npos;
}

}  // namespace

TextStream::TextStream(std::shared_ptr<const Masker> masker, Context context, size_t max_hold)
    : masker_(std::move(masker)),
      hint_(context.hint),
      pointer_(context.pointer),
      card_object_(context.card_object),
      max_hold_(max_hold) {}

void TextStream::Feed(std::string_view chunk, std::string& out) {
  if (spilling_) {  // the rest of the word that was too long
    const size_t end = std::min(chunk.find_first_of(" \n\t\r"), chunk.size());
    Star(chunk.substr(0, end), out);
    chunk.remove_prefix(end);
    if (chunk.empty()) return;
    spilling_ = false;
  }
  while (!chunk.empty()) {  // large pieces in steps, so that what is held stays small
    const size_t n = std::min<size_t>(chunk.size(), 64 * 1024);
    buffer_ += chunk.substr(0, n);
    chunk.remove_prefix(n);
    if (fresh_ && MayBeFramed(buffer_) && buffer_.size() <= kMaxFramedText) continue;
    if (QuietTail(out)) continue;
    if (held() >= tried_ + std::max<size_t>(24, tried_ / 8)) Advance(false, out);
    if (held() > max_hold_) Overflow(out);
  }
}

void TextStream::Finish(std::string& out) {
  Advance(true, out);
  buffer_.clear();
  earlier_.clear();
  start_ = tried_ = 0;
  fresh_ = true;
  spilling_ = false;
}

/// Nothing of interest in what is held and shortly before: it can go up to the last word.
bool TextStream::QuietTail(std::string& out) {
  if (!masker_->impl().regexes.empty() || held() > 512) return false;
  size_t cut = buffer_.size();
  while (cut > start_ && !IsBlank(buffer_[cut - 1])) cut--;
  if (cut == start_) return false;
  const size_t from = start_ > kQuiet ? start_ - kQuiet : 0;
  const std::string_view view(buffer_);
  if (std::ranges::any_of(view.substr(from), IsInteresting)) return false;
  if (HasHook(view.substr(from))) return false;
  size_t word = from;
  for (size_t i = from; i <= view.size(); i++) {
    if (i < view.size() && !IsBlank(view[i])) continue;
    if (IsOddWord(view.substr(word, i - word)) || i - word >= 16) return false;
    word = i + 1;
  }
  Emit(cut, {}, earlier_, out);
  return true;
}

void TextStream::Advance(bool last, std::string& out) {
  if (held() == 0) return;
  const Context context{hint_, pointer_, card_object_};
  Found found;
  std::vector<CardSpan> cards;
  FindFrom(masker_->impl(), buffer_, start_, earlier_, context, 0, found, &cards);
  if (last && fresh_ && masker_->impl().pan && MayBeFramed(buffer_))
    FindAcrossFrames(masker_->impl(), buffer_, found);
  NormalizeEdits(found.edits);
  if (last) return Emit(buffer_.size(), found, cards, out);
  tried_ = held();
  const size_t limit = buffer_.size() > kLookAhead ? buffer_.size() - kLookAhead : 0;
  const size_t cut = CutBefore(limit, found);
  if (cut > start_) Emit(cut, found, cards, out);
}

/// The last place at or before `limit` where the text can be cut without changing what is found on
/// either side; start_ when there is none.
size_t TextStream::CutBefore(size_t limit, const Found& found) const {
  Cover cover;
  for (const Finding& f : found.findings) cover.Add(f.begin, f.end);
  for (const Edit& e : found.edits) cover.Add(e.begin, e.end);
  cover.Build();
  const std::string_view view(buffer_);
  const bool lines = !masker_->impl().regexes.empty();
  constexpr std::string_view kOverride = "\xe2\x80\xae", kPop = "\xe2\x80\xac";
  const bool overrides = view.find(kOverride, start_) != view.npos;
  for (size_t p = limit; p > start_; p--) {
    const char before = view[p - 1];
    if (!(before == '\n' || (before == ' ' && !lines))) continue;
    // In text that is all numbers a line end has to do; elsewhere the cut stands clear of digits.
    const bool dense = held() > 4096 && before == '\n';
    const size_t near = p > start_ + 12 ? p - 12 : start_;
    const auto digitlike = [](char c) { return IsDigit(c) || (c & 0x80); };
    if (!dense && (std::ranges::any_of(view.substr(near, p - near), digitlike) ||
                   std::ranges::any_of(view.substr(p, 12), digitlike))) {
      continue;
    }
    if (p >= 2 && (view[p - 2] == '\\' || view[p - 2] == '=' || view[p - 2] == '\r')) continue;
    const size_t back = p > kQuiet ? p - kQuiet : 0;
    const std::string_view tail = view.substr(back, p - back);
    const size_t open = tail.rfind('<');
    if (open != std::string_view::npos && tail.find('>', open) == std::string_view::npos) continue;
    if (HasHook(tail.substr(tail.size() - std::min<size_t>(tail.size(), 48)))) continue;
    const size_t word = view.find_last_of(" \n\t", p > 1 ? p - 2 : 0);
    const size_t word_begin = word == std::string_view::npos ? 0 : word + 1;
    if (p - 1 > word_begin && IsOddWord(view.substr(word_begin, p - 1 - word_begin))) continue;
    const size_t next_end = std::min(view.find_first_of(" \n\t", p), view.size());
    if (IsOddWord(view.substr(p, next_end - p))) continue;
    if (overrides) {  // an open right-to-left override
      const std::string_view left = view.substr(start_, p - start_);
      const size_t rtl = left.rfind(kOverride);
      if (rtl != left.npos && left.find(kPop, rtl) == left.npos) continue;
    }
    if (cover.Crosses(p)) continue;
    return p;
  }
  return start_;
}

void TextStream::Emit(size_t end, const Found& found, const std::vector<CardSpan>& cards,
                      std::string& out) {
  Found part;
  part.blocked = found.blocked;
  size_t at = start_;
  for (const Edit& e : found.edits) {
    if (e.begin >= end) break;
    out.append(buffer_, at, e.begin - at);
    out += e.text;
    at = e.end;
  }
  out.append(buffer_, at, end - at);
  for (const Finding& f : found.findings) {
    if (f.begin < end) part.findings.push_back(f);
  }
  if (!part.Empty()) AddToTally(part, pointer_, tally_);
  const size_t drop = end > kLookBack ? (end - kLookBack) / 64 * 64 : 0;  // blocks of the scan
  std::vector<CardSpan> kept;
  for (const CardSpan& c : cards) {
    if (c.end <= end && c.begin >= drop) kept.push_back({c.begin - drop, c.end - drop});
  }
  earlier_ = std::move(kept);
  buffer_.erase(0, drop);
  start_ = end - drop;
  tried_ = 0;
  fresh_ = false;
}

void TextStream::Star(std::string_view text, std::string& out) {
  for (char c : text) out += IsDigit(c) || IsAlpha(c) || (c & 0x80) ? '*' : c;
}

void TextStream::Overflow(std::string& out) {
  overflowed_ = spilling_ = true;
  Star(std::string_view(buffer_).substr(start_), out);
  start_ = buffer_.size();
  Emit(buffer_.size(), {}, {}, out);
}

}  // namespace sallyport::mask
