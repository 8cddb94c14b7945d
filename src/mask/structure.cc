// Card numbers inside records: EMV TLV, magnetic stripe, ISO 8583, number and expiry run together.
#include <algorithm>

#include "mask/pan_window.h"
#include "mask/sensitive.h"

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlnum(char c) { return IsDigit(c) || ((c | 0x20) >= 'a' && (c | 0x20) <= 'z'); }

int Two(const uint8_t* d) { return d[0] * 10 + d[1]; }
bool IsMonth(int m) { return m >= 1 && m <= 12; }
// Cards are valid for up to 20 years; archives go back about as far.
bool IsYear(int y) { return y >= 12 && y <= 49; }

void Add(const FoldedText& f, uint32_t first, uint32_t last, int score, bool need_context,
         std::vector<PanWindow>& found) {
  PanWindow w;
  w.first = first, w.last = last;
  w.evidence = kStructure;
  w.score = score;
  if (Judge(f, w, need_context)) found.push_back(w);
}

void FindEmv(const FoldedText& f, const DigitGroup& g, const uint8_t* d,
             std::vector<PanWindow>& found) {
  const auto& s = f.symbols;
  const uint32_t n = g.size();
  // 5A, length, number: as nibbles, odd ones padded with F.
  if (g.first >= 2 && (s[g.first - 1].c | 0x20) == 'a' && s[g.first - 2].c == '5' && n >= 14) {
    const uint32_t nibbles = uint32_t(Two(d)) * 2;
    if (nibbles >= 12 && nibbles <= 18) {
      const bool pad = g.last < s.size() && (s[g.last].c | 0x20) == 'f' && n - 2 == nibbles - 1;
      const uint32_t digits = pad ? nibbles - 1 : nibbles;
      if (n - 2 >= digits) Add(f, g.first + 2, g.first + 2 + digits, 120, false, found);
    }
  }
  // 57, length, number, D, expiry, …
  if (n < 16 || n > 40 || g.last >= s.size() || (s[g.last].c | 0x20) != 'd') return;
  for (uint32_t digits = 19; digits >= 12; digits--) {
    if (n < digits + 4) continue;
    const uint32_t at = g.last - digits - 4;
    if (s[at].c == '5' && s[at + 1].c == '7') Add(f, at + 4, g.last, 120, false, found);
  }
}

/// Number and expiry (and code) without a border between them.
void FindWithExpiry(const FoldedText& f, const DigitGroup& g, const uint8_t* d,
                    std::vector<PanWindow>& found) {
  const uint32_t n = g.size();
  if (n < 18 || n > 24) return;
  for (uint32_t tail : {4u, 7u, 8u}) {
    const uint32_t digits = n - tail;
    if (digits < 14 || digits > 19) continue;
    const auto match = LookUpIin(d, int(digits));
    if (!match || match->trust > Trust::medium || !LuhnOk(d, int(digits))) continue;
    if ((tail == 8) != (match->network == "amex") && tail != 4) continue;
    if (!IsMonth(Two(d + digits)) || !IsYear(Two(d + digits + 2))) continue;
    PanWindow w;
    w.first = g.first, w.last = g.first + digits;
    w.evidence = kStructure;
    w.score = 60;
    if (tail > 4) w.code_first = g.first + digits + 4, w.code_last = g.last;
    if (Judge(f, w, n < 19)) found.push_back(w);
  }
}

/// ISO 8583: message type, length, number.
void FindIso8583(const FoldedText& f, const DigitGroup& g, const uint8_t* d,
                 std::vector<PanWindow>& found) {
  const uint32_t n = g.size();
  if (n >= 14 && n <= 21 && uint32_t(Two(d)) == n - 2) {
    const bool alone = f.context.hint.empty() &&
                       IsWholeText(f.text, f.symbols[g.first].begin, f.symbols[g.last - 1].end);
    Add(f, g.first + 2, g.last, 50, !alone, found);
  }
  if (n >= 18 && n <= 25 && d[0] == 0 && d[1] >= 1 && d[1] <= 8 && d[3] <= 5 &&
      uint32_t(Two(d + 4)) == n - 6) {
    Add(f, g.first + 6, g.last, 110, false, found);
  }
}

uint32_t SkipDigits(const std::vector<Symbol>& s, uint32_t i) {
  while (i < s.size() && IsDigit(s[i].c)) i++;
  return i;
}

/// Track 2 behind the number: = or D, YYMM, service code, discretionary data.
bool TrackTwo(const std::vector<Symbol>& s, PanWindow& w) {
  uint32_t i = w.last;
  if (i < s.size() && s[i].c == ' ') i++;
  if (i >= s.size() || (s[i].c != '=' && (s[i].c | 0x20) != 'd')) return false;
  const uint32_t first = ++i;
  i = SkipDigits(s, i);
  if (i - first < 7) return false;
  const int month = (s[first + 2].c - '0') * 10 + (s[first + 3].c - '0');
  if (!IsMonth(month)) return false;
  while (i < s.size() && (s[i].c | 0x20) == 'f') i++;
  if (i < s.size() && s[i].c == '?') i++;
  uint32_t b = w.first;
  if (b > 0 && s[b - 1].c == ';') {
    b--;
  } else {  // the EMV tag and length
    uint32_t k = b, hex = 0;
    while (k > 0 && hex < 4 && b - k < 7 && (IsAlnum(s[k - 1].c) || s[k - 1].c == ' ')) {
      k--;
      hex += s[k].c != ' ';
      if (hex == 4 && s[k].c == '5' && k + 1 < s.size() && s[k + 1].c == '7') b = k;
    }
  }
  w.sad_first = b, w.sad_last = i;
  return true;
}

/// Track 1: B, number, ^, name, ^, YYMM, service code, discretionary data.
bool TrackOne(const std::vector<Symbol>& s, PanWindow& w) {
  uint32_t i = w.last;
  if (i >= s.size() || s[i].c != '^') return false;
  const uint32_t name = ++i;
  while (i < s.size() && i - name <= 40 && s[i].c != '^' && s[i].c != '\n') i++;
  if (i >= s.size() || s[i].c != '^') return false;
  const uint32_t data = ++i;
  while (i < s.size() && i - data < 90 && s[i].c != '?' && s[i].c != '\n' && s[i].c != '"' &&
         s[i].c != '<') {
    if (!IsAlnum(s[i].c) && s[i].c != ' ' && s[i].c != '/' && s[i].c != '-' && s[i].c != '=' &&
        s[i].c != '^')
      break;
    i++;
  }
  if (i < s.size() && s[i].c == '?') i++;
  uint32_t b = w.first;
  if (b > 0 && (s[b - 1].c | 0x20) == 'b') b--;
  if (b > 0 && s[b - 1].c == '%') b--;
  w.sad_first = b, w.sad_last = i;
  return true;
}

bool IsListGap(char c) {
  return c == ' ' || c == ',' || c == ';' || c == '|' || c == '/' || c == '\t' || c == '-' ||
         c == ':' || c == '"' || c == '\'';
}

/// Number, expiry, code: 4111… 12/27 123.
void CodeBehindExpiry(const std::vector<Symbol>& s, PanWindow& w) {
  uint32_t i = w.last;
  const auto gap = [&](uint32_t most) {
    const uint32_t from = i;
    while (i < s.size() && i - from < most && IsListGap(s[i].c)) i++;
    return i > from;
  };
  if (!gap(4)) return;
  uint32_t e = SkipDigits(s, i);
  const auto two = [&](uint32_t k) { return (s[k].c - '0') * 10 + (s[k + 1].c - '0'); };
  if (e - i == 4) {
    if (!IsMonth(two(i)) || !IsYear(two(i + 2))) return;
    i = e;
  } else if (e - i <= 2 && e > i) {
    if (e - i == 2 && !IsMonth(two(i))) return;
    i = e;
    if (i >= s.size() || (s[i].c != '/' && s[i].c != '-')) return;
    e = SkipDigits(s, ++i);
    if (e - i != 2 && e - i != 4) return;
    if (!IsYear(two(e - 2))) return;
    i = e;
  } else {
    return;
  }
  if (!gap(4)) return;
  e = SkipDigits(s, i);
  const uint32_t want = w.match.network == "amex" ? 4 : 3;
  if (e - i != want && e - i != 3) return;
  if (e < s.size() &&
      (s[e].c == '.' || s[e].c == ':' || s[e].c == '/' || s[e].c == '-' || IsAlnum(s[e].c)))
    return;
  w.code_first = i, w.code_last = e;
}

}  // namespace

void FindStructured(const FoldedText& f, const std::vector<DigitGroup>& groups, size_t g,
                    std::vector<PanWindow>& found) {
  const DigitGroup& group = groups[g];
  if (group.size() < 14 || group.size() > 40) return;
  uint8_t d[48];
  for (uint32_t i = 0; i < group.size(); i++) d[i] = uint8_t(f.symbols[group.first + i].c - '0');
  FindEmv(f, group, d, found);
  FindWithExpiry(f, group, d, found);
  FindIso8583(f, group, d, found);
}

void AttachSensitive(const FoldedText& f, PanWindow& w) {
  if (TrackTwo(f.symbols, w) || TrackOne(f.symbols, w)) return;
  if (w.code_last == 0) CodeBehindExpiry(f.symbols, w);
}

}  // namespace sallyport::mask
