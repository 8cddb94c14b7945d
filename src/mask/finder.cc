// One text: folds it, looks for numbers, codes, blobs and operator patterns, and says what to
// replace.
#include <algorithm>
#include <array>
#include <iterator>
#include <re2/re2.h>
#include <span>
#include <string>

#include "mask/bare_number.h"
#include "mask/decode.h"
#include "mask/frames.h"
#include "mask/impl.h"
#include "mask/number_words.h"
#include "mask/pan_window.h"
#include "mask/render.h"
#include "mask/scan.h"
#include "mask/sensitive.h"

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

class TextFinder {
 public:
  TextFinder(const Masker::Impl& impl, std::string_view text, std::vector<CardSpan> earlier,
             const Context& context, HintClass hint, Found& found)
      : impl_(impl),
        text_(text),
        context_(context),
        hint_(hint),
        found_(found),
        cards_(std::move(earlier)) {}

  void Cards(size_t from, size_t to) {
    std::vector<Symbol> symbols;
    Fold(text_, from, to, symbols);
    FindIn(symbols, false);
    std::vector<Symbol> other;
    if (ReadLookalikes(symbols, other)) FindIn(other, true);
    other.clear();
    if (ReadNumberWords(symbols, other)) FindIn(other, false);
  }

  void Sensitive(size_t from, size_t to) {
    if (!impl_.sad) return;
    std::vector<SensitiveSpan> spans;
    std::ranges::sort(cards_, {}, &CardSpan::begin);
    FindSensitiveWords(text_, from, to, cards_, context_.card_object, spans);
    FindBareTracks(text_, from, to, spans);
    for (const SensitiveSpan& s : spans) AddSad(s.begin, s.end, s.evidence);
  }

  const std::vector<CardSpan>& cards() const { return cards_; }

  /// An operator's pattern matches within one line.
  void Patterns(size_t from) {
    if (impl_.regexes.empty()) return;
    for (size_t at = from; at < text_.size();) {
      const size_t end = std::min(text_.find('\n', at), text_.size());
      Patterns(at, end);
      at = end + 1;
    }
  }

 private:
  void Patterns(size_t from, size_t to) {
    for (const RegexDetector& d : impl_.regexes) {
      const re2::StringPiece input(text_.data() + from, to - from);
      re2::StringPiece match;
      size_t pos = 0;
      while (pos <= input.size() &&
             d.re->Match(input, pos, input.size(), RE2::UNANCHORED, &match, 1)) {
        const size_t begin = size_t(match.data() - text_.data()), end = begin + match.size();
        pos = end - from > pos ? end - from : pos + 1;
        if (end == begin) continue;
        std::string masked = MaskedMatch(text_.substr(begin, end - begin), d.spec.render);
        if (masked == text_.substr(begin, end - begin)) continue;
        found_.findings.push_back({begin, end, d.spec.name, DetectorKind::regex, "", kPattern});
        found_.edits.push_back({begin, end, std::move(masked)});
        found_.blocked |= d.spec.action == Action::block;
      }
    }
  }

  /// Repeats until nothing is left: what stays visible of one number may make another with what
  /// follows.
  void FindIn(std::vector<Symbol>& symbols, bool lookalike) {
    for (int round = 0; round < 16; round++) {
      const FoldedText folded{text_, symbols, context_, hint_, lookalike};
      std::vector<PanWindow> windows;
      FindPanWindows(folded, windows);
      if (windows.empty()) return;
      for (PanWindow& w : windows) AttachSensitive(folded, w);
      for (const PanWindow& w : windows) Take(symbols, w, round > 0);
    }
  }

  void Take(std::vector<Symbol>& s, const PanWindow& w, bool again) {
    cards_.push_back({w.begin, w.end});
    if (w.sad_last > w.sad_first && impl_.sad) {
      AddSad(s[w.sad_first].begin, s[w.sad_last - 1].end, kTrack | kStructure);
    }
    if (w.code_last > w.code_first && impl_.sad) {
      AddSad(s[w.code_first].begin, s[w.code_last - 1].end, kCardCode | kStructure);
    }
    if (impl_.pan) {
      found_.findings.push_back(
          {w.begin, w.end, impl_.pan->name, DetectorKind::pan, w.match.network, w.evidence});
      found_.blocked |= impl_.pan->action == Action::block;
      Hide(s, w, again ? Render::full : impl_.pan->render);
    }
    for (uint32_t i = w.first; i < w.last; i++) {
      if (!impl_.pan) s[i].c = kOther;
    }
    for (uint32_t i = w.sad_first; i < w.sad_last; i++) s[i].c = kOther;
    for (uint32_t i = w.code_first; i < w.code_last; i++) s[i].c = kOther;
  }

  void Hide(std::vector<Symbol>& s, const PanWindow& w, Render render) {
    std::string digits;
    for (uint32_t i = w.first; i < w.last; i++) {
      if (IsDigit(s[i].c)) digits += s[i].c;
    }
    if (render == Render::token) {
      found_.edits.push_back({w.begin, w.end, PanToken(impl_, digits)});
      for (uint32_t i = w.first; i < w.last; i++) s[i].c = kOther;
      return;
    }
    const int n = int(digits.size());
    int k = 0;
    for (uint32_t i = w.first; i < w.last; i++) {
      if (!IsDigit(s[i].c)) continue;
      if (!Visible(render, k++, n)) {
        const bool same =
            !found_.edits.empty() && found_.edits.back().begin == s[i].begin &&
            found_.edits.back().end == s[i].end;  // "triple one": one word, three digits
        if (!same) found_.edits.push_back({s[i].begin, s[i].end, "*"});
        s[i].c = '*';
      }
    }
  }

  void AddSad(size_t begin, size_t end, uint32_t evidence) {
    found_.findings.push_back({begin, end, impl_.sad->name, DetectorKind::sad, "", evidence});
    found_.edits.push_back({begin, end, std::string(kSadRemoved)});
    found_.blocked |= impl_.sad->action == Action::block;
  }

  static std::string MaskedMatch(std::string_view match, Render render) {
    std::string out(match);
    int n = 0, k = 0;
    const auto counts = [](char c) {
      return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c & 0x80);
    };
    for (char c : match) n += counts(c);
    for (char& c : out) {
      if (counts(c) && !Visible(n <= 8 ? Render::full : render, k++, n)) c = '*';
    }
    return out;
  }

  const Masker::Impl& impl_;
  std::string_view text_;
  const Context& context_;
  HintClass hint_;
  Found& found_;
  std::vector<CardSpan> cards_;  // in the order of the text
};

constexpr size_t kCardMargin = 40;   // what may stand beside a number and matter for its shape
constexpr size_t kWordMargin = 128;  // how far a word for SAD may be from its card number

/// Characters that a cut must not stand between: words, escapes, markup.
bool HoldsTogether(char c) {
  return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z') || (c & 0x80) || c == '%' ||
         c == '&' || c == '#' || c == '\\' || c == '=' || c == '<' || c == '>' || c == ';' ||
         c == '+' || c == '/' || c == '_';
}

/// Regions so near that they share their margins become one.
struct Span : Region {
  size_t first, last;  // regions
};
std::vector<Span> Spans(const std::vector<Region>& regions) {
  std::vector<Span> spans;
  for (size_t i = 0; i < regions.size(); i++) {
    const Region& r = regions[i];
    if (!spans.empty() && r.begin < spans.back().end + 4 * kCardMargin) {
      spans.back().end = std::max(spans.back().end, r.end);
      spans.back().last = i + 1;
    } else {
      spans.push_back({r, i, i + 1});
    }
  }
  return spans;
}

/// The span with its margin, not cutting a word.
Region WithMargin(std::string_view text, size_t from, const Region& span, size_t before,
                  size_t after) {
  Region r{span.begin > from + before ? span.begin - before : from,
           std::min(text.size(), span.end + after)};
  const size_t low = r.begin > from + kWordMargin ? r.begin - kWordMargin : from;
  while (r.begin > low && HoldsTogether(text[r.begin - 1])) r.begin--;
  const size_t high = std::min(text.size(), r.end + kWordMargin);
  while (r.end < high && HoldsTogether(text[r.end])) r.end++;
  return r;
}

/// Keeps what touches the span: the rest belongs to another one or is a product of the margin's
/// edge.
void KeepTouching(const Region& span, Found& part, Found& found) {
  std::vector<Finding> kept;
  for (Finding& f : part.findings) {
    const size_t slack = f.kind == DetectorKind::sad ? kWordMargin : 0;
    if (f.begin < span.end + slack && f.end + slack > span.begin) kept.push_back(f);
  }
  Cover cover;
  for (const Finding& f : kept) cover.Add(f.begin, f.end);
  cover.Build();
  for (Edit& e : part.edits) {
    if (cover.Touches(e.begin, e.end)) found.edits.push_back(std::move(e));
  }
  found.findings.insert(found.findings.end(), kept.begin(), kept.end());
  found.blocked |= part.blocked && !kept.empty();
}

/// Of the numbers found so far only those near the span that ends at `end` matter.
void Remember(const CardSpan& card, size_t end, std::vector<CardSpan>& known) {
  if (card.end + 512 > end) known.push_back(card);
}

/// What a bare number becomes: groups keep their gaps.
void HideBare(const Masker::Impl& impl, std::string_view number, size_t begin, Found& found) {
  if (impl.pan->render == Render::token) {
    std::string digits;
    std::ranges::copy_if(number, std::back_inserter(digits), IsDigit);
    found.edits.push_back({begin, begin + number.size(), PanToken(impl, digits)});
    return;
  }
  const int n = int(std::ranges::count_if(number, IsDigit));
  int k = 0;
  for (size_t i = 0; i < number.size();) {
    size_t e = i;
    while (e < number.size() && IsDigit(number[e]) && !Visible(impl.pan->render, k, n)) e++, k++;
    if (e > i) found.edits.push_back({begin + i, begin + e, std::string(e - i, '*')});
    if (e < number.size() && IsDigit(number[e])) k++;
    i = e + 1;
  }
}

/// Numbers among numbers, without the full judge. False: the span takes that one.
bool TakeBareNumbers(const Masker::Impl& impl, std::string_view text,
                     std::span<const Region> regions, const Context& context, HintClass hint,
                     Found& found, std::vector<CardSpan>& known) {
  // The first six that stay visible may make a number with what stands before.
  if (!impl.pan || impl.pan->render == Render::first6_last4) return false;
  std::array<BareVerdict, 8> verdicts;
  if (regions.size() > verdicts.size()) return false;
  for (size_t i = 0; i < regions.size(); i++) {
    verdicts[i] = JudgeBareNumber(text, regions[i], context, hint);
    if (!verdicts[i].decided) return false;
  }
  const size_t end = regions.back().end;
  std::erase_if(known, [&](const CardSpan& c) { return c.end + 512 <= end; });
  for (size_t i = 0; i < regions.size(); i++) {
    const BareVerdict& v = verdicts[i];
    const Region& r = regions[i];
    if (!v.card) continue;
    Remember({r.begin, r.end}, end, known);
    found.findings.push_back(
        {r.begin, r.end, impl.pan->name, DetectorKind::pan, v.match.network, v.evidence});
    found.blocked |= impl.pan->action == Action::block;
    HideBare(impl, text.substr(r.begin, r.end - r.begin), r.begin, found);
  }
  return true;
}

}  // namespace

void FindFrom(const Masker::Impl& impl, std::string_view text, size_t from,
              const std::vector<CardSpan>& earlier, const Context& context, int depth, Found& found,
              std::vector<CardSpan>* cards) {
  const size_t first = found.findings.size();
  const HintClass hint = ClassifyHint(context.hint);
  std::vector<CardSpan> known = earlier;
  if (impl.pan || impl.sad) {
    ScanResult scan;
    ScanText(text, from, scan);
    for (const Span& span : Spans(scan.regions)) {
      const auto regions = std::span(scan.regions).subspan(span.first, span.last - span.first);
      if (TakeBareNumbers(impl, text, regions, context, hint, found, known)) continue;
      Found part;
      TextFinder finder(impl, text, std::move(known), context, hint, part);
      const Region card = WithMargin(text, from, span, kCardMargin, 2 * kCardMargin),
                   word = WithMargin(text, from, span, kWordMargin, kWordMargin);
      finder.Cards(card.begin, card.end);
      finder.Sensitive(word.begin, word.end);
      FindInBlobs(impl, text, card.begin, card.end, context, depth, part);
      KeepTouching(span, part, found);
      known.clear();
      for (const CardSpan& c : finder.cards()) Remember(c, span.end, known);
    }
  }
  if (!impl.regexes.empty()) TextFinder(impl, text, {}, context, hint, found).Patterns(from);
  if (cards) *cards = std::move(known);
  std::sort(found.findings.begin() + ptrdiff_t(first), found.findings.end(),
            [](const Finding& a, const Finding& b) {
              return a.begin != b.begin ? a.begin < b.begin
                     : a.kind != b.kind ? a.kind < b.kind
                                        : a.end < b.end;
            });
  // A code between two numbers was seen from both.
  const auto same = [](const Finding& a, const Finding& b) {
    return a.begin == b.begin && a.end == b.end && a.kind == b.kind;
  };
  found.findings.erase(
      std::unique(found.findings.begin() + ptrdiff_t(first), found.findings.end(), same),
      found.findings.end());
}

void FindAll(const Masker::Impl& impl, std::string_view text, const Context& context, int depth,
             Found& found) {
  FindFrom(impl, text, 0, {}, context, depth, found, nullptr);
  if (depth == 0 && impl.pan && MayBeFramed(text)) FindAcrossFrames(impl, text, found);
}

}  // namespace sallyport::mask
