#include "mask/sensitive.h"

#include <algorithm>
#include <array>

namespace sallyport::mask {
namespace {

bool IsAlpha(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsHex(char c) { return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'f'); }

bool StartsWithNoCase(std::string_view text, size_t i, std::string_view lower) {
  if (text.size() - i < lower.size()) return false;
  for (size_t k = 0; k < lower.size(); k++) {
    const char c = text[i + k];
    if ((IsAlpha(c) ? char(c | 0x20) : c) != lower[k]) return false;
  }
  return true;
}

struct Word {
  std::string_view word;
  bool near_card_only;
  uint32_t evidence;
};
// Longest first where one begins with another.
constexpr Word kWords[] = {
    {"cvv2", false, kCardCode},
    {"cvc2", false, kCardCode},
    {"cvn2", false, kCardCode},
    {"cav2", false, kCardCode},
    {"cvx2", false, kCardCode},
    {"cvv", false, kCardCode},
    {"cvc", false, kCardCode},
    {"cvn", false, kCardCode},
    {"cvd", false, kCardCode},
    {"cve", true, kCardCode},
    {"csc", true, kCardCode},
    {"cid", true, kCardCode},
    {"card verification value", false, kCardCode},
    {"card verification code", false, kCardCode},
    {"card verification number", false, kCardCode},
    {"card security code", false, kCardCode},
    {"security code", true, kCardCode},
    {"security_code", true, kCardCode},
    {"securitycode", true, kCardCode},
    {"verification value", true, kCardCode},
    {"verification code", true, kCardCode},
    {"pr\u00fcfziffer", true, kCardCode},
    {"pruefziffer", true, kCardCode},
    {"kartenpr\u00fcfnummer", true, kCardCode},
    {"c\u00f3digo de seguridad", true, kCardCode},
    {"code de s\u00e9curit\u00e9", true, kCardCode},
    {"pin", true, kPin},
};

/// From the end of the word over ":", "=", quotes and filler words to the value.
size_t SkipToValue(std::string_view text, size_t i) {
  for (int words = 0, marks = 0; i < text.size() && marks < 8;) {
    const char c = text[i];
    if (c == ' ' || c == ':' || c == '=' || c == '"' || c == '\'' || c == '\\' || c == '>' ||
        c == '#' || c == '(' || c == ',' || c == ';' || c == '\t' || c == '|' || c == '-' ||
        c == '_') {
      i++, marks++;
      continue;
    }
    if (IsAlpha(c) && words < 2) {
      static constexpr std::string_view kFillers[] = {
          "is", "no", "number", "code", "value", "num", "nr", "ist", "was", "text", "block", "key"};
      size_t e = i;
      while (e < text.size() && IsAlpha(text[e])) e++;
      bool filler = false;
      for (std::string_view f : kFillers)
        filler |= e - i == f.size() && StartsWithNoCase(text, i, f);
      if (!filler) return text.size();
      i = e, words++;
      continue;
    }
    break;
  }
  return i;
}

/// ISO/IEC 7813: track 2 holds digits and separators, track 1 letters, digits and a few marks.
bool IsTrackCharacter(char c, bool one) {
  if (IsDigit(c) || c == '=') return true;
  return one &&
         (IsAlpha(c) || c == '^' || c == ' ' || c == '/' || c == '.' || c == '-' || c == '\'');
}

bool PinBlockAt(std::string_view text, size_t i, size_t to, SensitiveSpan& span) {
  size_t k = i + 3;
  if (k < text.size() && (text[k] == '_' || text[k] == '-' || text[k] == ' ')) k++;
  if (!StartsWithNoCase(text, k, "block") && !StartsWithNoCase(text, k, "blk")) return false;
  k += (text[k + 2] | 0x20) == 'k' ? 3 : 5;
  k = SkipToValue(text, k);
  if (k < text.size() && text[k] == '0' && k + 1 < text.size() && (text[k + 1] | 0x20) == 'x')
    k += 2;
  size_t e = k;
  while (e < text.size() && IsHex(text[e])) e++;
  if (k >= to || (e - k != 16 && e - k != 32)) return false;
  span = {k, e, kPin};
  return true;
}

}  // namespace

void FindSensitiveWords(std::string_view text, size_t from, size_t to,
                        const std::vector<CardSpan>& cards, bool card_object,
                        std::vector<SensitiveSpan>& spans) {
  size_t card = 0;
  for (size_t i = from; i < to; i++) {
    const char c = char(text[i] | 0x20);
    if (c != 'c' && c != 'p' && c != 's' && c != 'v' && c != 'k') continue;
    if (i > 0 && IsAlpha(text[i - 1]) && !(text[i - 1] >= 'a' && text[i] <= 'Z')) continue;
    if (c == 'p' && StartsWithNoCase(text, i, "pin")) {
      SensitiveSpan span;
      if (PinBlockAt(text, i, to, span)) {
        spans.push_back(span);
        i = span.end - 1;
        continue;
      }
    }
    for (const Word& w : kWords) {
      if (!StartsWithNoCase(text, i, w.word)) continue;
      size_t e = i + w.word.size();
      if (e < text.size() && IsAlpha(text[e]) &&
          !(text[e] >= 'A' && text[e] <= 'Z' && text[e - 1] >= 'a'))
        continue;
      if (w.near_card_only && !card_object) {
        while (card < cards.size() && cards[card].end + 96 < i) card++;
        if (card == cards.size() || cards[card].begin > e + 96) continue;
      }
      const size_t v = SkipToValue(text, e);
      size_t d = v;
      while (d < text.size() && IsDigit(text[d])) d++;
      const size_t n = d - v;
      const bool fits = w.evidence == kPin ? n >= 4 && n <= 6 : n == 3 || n == 4;
      if (v == e || v >= to || !fits) break;
      if (d < text.size() &&
          (IsAlpha(text[d]) || (text[d] == '.' && d + 1 < text.size() && IsDigit(text[d + 1]))))
        break;
      spans.push_back({v, d, w.evidence});
      i = d - 1;
      break;
    }
  }
}

void FindBareTracks(std::string_view text, size_t from, size_t to,
                    std::vector<SensitiveSpan>& spans) {
  for (size_t i = from; i < to; i++) {
    if (text[i] != ';' && text[i] != '%') continue;
    size_t k = i + 1;
    const bool one = text[i] == '%';
    if (one && (k >= text.size() || (text[k++] | 0x20) != 'b')) continue;
    const size_t digits = k;
    while (k < text.size() && IsDigit(text[k])) k++;
    if (k - digits < 12 || k - digits > 19 || k >= text.size()) continue;
    if (text[k] != (one ? '^' : '=')) continue;
    size_t e = k + 1;
    while (e < text.size() && e - k < 120 && IsTrackCharacter(text[e], one)) e++;
    if (e >= text.size() || text[e] != '?' || e - k < 8) continue;
    spans.push_back({i, e + 1, kTrack});
    i = e;
  }
}

}  // namespace sallyport::mask
