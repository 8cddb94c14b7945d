#include "mask/number_words.h"

#include <array>
#include <cstdint>
#include <string>

namespace sallyport::mask {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c | 0x20) >= 'a' && (c | 0x20) <= 'z'; }

struct NumberWord {
  std::string_view word;
  char digit;
};
constexpr NumberWord kWords[] = {
    {"zero", '0'},  {"one", '1'},    {"two", '2'},     {"three", '3'}, {"four", '4'},
    {"five", '5'},  {"six", '6'},    {"seven", '7'},   {"eight", '8'}, {"nine", '9'},
    {"oh", '0'},    {"null", '0'},   {"eins", '1'},    {"zwei", '2'},  {"zwo", '2'},
    {"drei", '3'},  {"vier", '4'},   {"fuenf", '5'},   {"sechs", '6'}, {"sieben", '7'},
    {"acht", '8'},  {"neun", '9'},   {"f\x02nf", '5'}, {"cero", '0'},  {"uno", '1'},
    {"dos", '2'},   {"tres", '3'},   {"cuatro", '4'},  {"cinco", '5'}, {"seis", '6'},
    {"siete", '7'}, {"ocho", '8'},   {"nueve", '9'},   {"un", '1'},    {"deux", '2'},
    {"trois", '3'}, {"quatre", '4'}, {"cinq", '5'},    {"sept", '7'},  {"huit", '8'},
    {"neuf", '9'}};

/// The words as integers, hashed.
constexpr uint64_t Pack(std::string_view w) {
  uint64_t v = 0;
  for (char c : w) v = v << 8 | uint8_t(c);
  return v;
}
constexpr size_t Slot(uint64_t v) { return size_t(v * 0x9e3779b97f4a7c15u >> 56); }
struct WordTable {
  std::array<uint64_t, 256> word{};
  std::array<char, 256> digit{};
};
constexpr WordTable kTable = [] {
  WordTable t;
  for (const NumberWord& n : kWords) {
    size_t at = Slot(Pack(n.word));
    while (t.word[at] != 0) at = (at + 1) % 256;
    t.word[at] = Pack(n.word);
    t.digit[at] = n.digit;
  }
  return t;
}();

/// The first two letters of all of them: one bit per second letter.
constexpr auto kBegins = [] {
  std::array<uint32_t, 32> t{};
  for (const NumberWord& n : kWords) t[n.word[0] & 31] |= uint32_t(1) << (n.word[1] & 31);
  for (std::string_view w : {"double", "triple", "doppel"})
    t[w[0] & 31] |= uint32_t(1) << (w[1] & 31);
  return t;
}();

char DigitOfWord(std::string_view w) {
  if (w.size() > 8) return 0;
  const uint64_t v = Pack(w);
  for (size_t at = Slot(v); kTable.word[at] != 0; at = (at + 1) % 256) {
    if (kTable.word[at] == v) return kTable.digit[at];
  }
  return 0;
}

char Lookalike(char c) {
  switch (c) {
    case 'l':
    case 'I':
      return '1';
    case 'O':
    case 'o':
      return '0';
    default:
      return 0;
  }
}

}  // namespace

namespace {
bool HasNumberWord(const std::vector<Symbol>& s) {
  for (size_t i = 0; i < s.size();) {
    if (!IsLetter(s[i].c)) {
      i++;
      continue;
    }
    char word[8];
    size_t n = 0;
    for (; i < s.size() && (IsLetter(s[i].c) || s[i].c == kOther); i++, n++) {
      if (n < sizeof word) word[n] = char(IsLetter(s[i].c) ? s[i].c | 0x20 : s[i].c);
    }
    if (n <= sizeof word && DigitOfWord({word, n}) != 0) return true;
  }
  return false;
}
}  // namespace

bool MayBeNumberWord(char first, char second) { return kBegins[first & 31] >> (second & 31) & 1; }

bool IsNumberWord(std::string_view word) {
  char low[8];
  if (word.size() < 2 || word.size() > sizeof low) return false;
  for (size_t i = 0; i < word.size(); i++) low[i] = char(word[i] | 0x20);
  const std::string_view w(low, word.size());
  return DigitOfWord(w) != 0 || w == "double" || w == "triple" || w == "doppel";
}

bool ReadNumberWords(const std::vector<Symbol>& s, std::vector<Symbol>& out) {
  if (!HasNumberWord(s)) return false;
  int words = 0, repeat = 1;
  for (size_t i = 0; i < s.size();) {
    if (!IsLetter(s[i].c)) {
      out.push_back(s[i++]);
      continue;
    }
    std::string w;
    size_t e = i;
    for (; e < s.size() && (IsLetter(s[e].c) || s[e].c == kOther); e++) {
      if (w.size() < 16) w += char(IsLetter(s[e].c) ? s[e].c | 0x20 : s[e].c);
    }
    const char digit = DigitOfWord(w);
    if (w == "double" || w == "triple" || w == "doppel") {
      repeat = w == "triple" ? 3 : 2;
      i = e;
      while (i < s.size() && s[i].c == ' ') i++;
      continue;
    }
    if (digit) {
      // What stands between a word and the digits before it is no border.
      size_t k = out.size();
      while (k > 0 && (out[k - 1].c == ' ' || out[k - 1].c == ',' || out[k - 1].c == '-' ||
                       out[k - 1].c == '.'))
        k--;
      if (k > 0 && IsDigit(out[k - 1].c)) out.resize(k);
      for (int r = 0; r < repeat; r++)
        out.push_back({s[i].begin, s[e - 1].end, digit, kFoldedFlag});
      words++;
      while (e < s.size() && (s[e].c == ',' || s[e].c == '.') && e + 1 < s.size() &&
             s[e + 1].c == ' ')
        e++;
    } else {
      for (size_t k = i; k < e; k++) out.push_back(s[k]);
    }
    repeat = 1;
    i = e;
  }
  return words > 0;
}

bool ReadLookalikes(const std::vector<Symbol>& s, std::vector<Symbol>& out) {
  bool any = false;
  for (size_t i = 0; i < s.size();) {
    if (!IsDigit(s[i].c) && !IsLetter(s[i].c)) {
      i++;
      continue;
    }
    size_t e = i, letters = 0;
    bool fits = true;
    for (; e < s.size() && (IsDigit(s[e].c) || IsLetter(s[e].c)); e++) {
      if (IsLetter(s[e].c)) {
        letters++;
        fits &= Lookalike(s[e].c) != 0;
      }
    }
    if (fits && letters > 0 && e - i >= 2) {
      if (!any) out = s;
      for (size_t k = i; k < e; k++) {
        if (IsLetter(s[k].c)) out[k].c = Lookalike(s[k].c), out[k].flags |= kFoldedFlag;
      }
      any = true;
    }
    i = e;
  }
  return any;
}

}  // namespace sallyport::mask
