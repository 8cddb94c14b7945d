// Makes card numbers with right check digits and ways to write them, for tests.
#pragma once

#include <array>
#include <functional>
#include <memory>
#include <random>
#include <string>

#include "mask/corpus_format.h"
#include "mask/iin_table.h"

namespace sallyport::mask {

class Maker {
 public:
  explicit Maker(uint32_t seed) : rng_(seed) {}

  int Below(int n) { return int(rng_() % uint32_t(n)); }
  std::string Digits(int n) {
    std::string s;
    for (int i = 0; i < n; i++) s += char('0' + Below(10));
    return s;
  }
  template <class T, size_t N>
  T Pick(const T (&a)[N]) {
    return a[Below(N)];
  }

  /// A number with a right check digit.
  std::string Complete(std::string prefix, int length) {
    std::string s = prefix + Digits(length - 1 - int(prefix.size()));
    for (char c = '0'; c <= '9'; c++) {
      std::string t = s + c;
      std::array<uint8_t, 24> d{};
      for (size_t i = 0; i < t.size(); i++) d[i] = uint8_t(t[i] - '0');
      if (LuhnOk(d.data(), length)) return t;
    }
    return s;
  }
  struct Issue {
    const char* prefix;
    int length;
  };
  std::string Common16() {  // what is on most cards
    static const char* const kPrefixes[] = {"4",  "4",    "4",    "51",   "52",   "53",
                                            "54", "55",   "2221", "2300", "2720", "6011",
                                            "65", "3530", "6212", "2201"};
    return Complete(Pick(kPrefixes), 16);
  }
  std::string Any() {
    static const Issue kIssues[] = {
        {"4", 16},      {"4", 19},      {"51", 16},     {"55", 16},     {"2223", 16},
        {"2720", 16},   {"34", 15},     {"37", 15},     {"6011", 16},   {"6011", 19},
        {"644", 16},    {"65", 16},     {"3528", 16},   {"3566", 16},   {"3589", 19},
        {"300", 14},    {"36", 14},     {"38", 14},     {"622", 16},    {"6220", 17},
        {"6222", 18},   {"6205", 19},   {"810", 16},    {"6759", 16},   {"6759", 19},
        {"5019", 16},   {"2200", 16},   {"2204", 19},   {"607", 16},    {"508", 16},
        {"9792", 16},   {"636297", 16}, {"606282", 16}, {"506099", 16}, {"506150", 19},
        {"633110", 16}, {"6304", 16},   {"589562", 16}, {"4", 13},      {"6759", 12},
        {"1354", 15}};
    const Issue i = Pick(kIssues);
    return Complete(i.prefix, i.length);
  }
  std::string Groups(const std::string& pan, std::initializer_list<int> sizes,
                     const std::string& sep) {
    std::string s;
    size_t at = 0;
    for (int n : sizes) {
      if (!s.empty()) s += sep;
      s += pan.substr(at, size_t(n));
      at += size_t(n);
    }
    return s;
  }
  std::string Grouped(const std::string& pan, const std::string& sep) {
    switch (pan.size()) {
      case 15:
        return Groups(pan, {4, 6, 5}, sep);
      case 14:
        return Groups(pan, {4, 6, 4}, sep);
      case 19:
        return Groups(pan, {4, 4, 4, 4, 3}, sep);
      case 18:
        return Groups(pan, {4, 4, 4, 4, 2}, sep);
      case 17:
        return Groups(pan, {4, 4, 4, 4, 1}, sep);
      case 13:
        return Groups(pan, {4, 4, 4, 1}, sep);
      case 12:
        return Groups(pan, {4, 4, 4}, sep);
      default:
        return Groups(pan, {4, 4, 4, 4}, sep);
    }
  }
  std::string Each(const std::string& pan, const std::function<std::string(char)>& f) {
    std::string s;
    for (char c : pan) s += f(c);
    return s;
  }
  std::string CardWords() {
    static const char* const kWords[] = {"card ",  "Card: ",          "card number ",     "PAN ",
                                         "pan=",   "credit card ",    "charged to card ", "cc: ",
                                         "Visa ",  "debit card no. ", "Tarjeta: ",        "Karte ",
                                         "carte ", "cardNumber="};
    return Pick(kWords);
  }
  std::string Prose() {
    static const char* const kWords[] = {"Paid with ", "see ",     "value ",   "",   "got ",
                                         "then ",      "\xc2\xab", "result: ", "=> "};
    return Pick(kWords);
  }
  std::string Tail() {
    static const char* const kWords[] = {"",         " ok", " was declined", ".", " on file",
                                         ", thanks", "\n",  " exp 11/29",    ";"};
    return Pick(kWords);
  }
  std::mt19937& rng() { return rng_; }

 private:
  std::mt19937 rng_;
};

inline std::string Utf8(char32_t cp) {
  std::string s;
  if (cp < 0x800) {
    s += char(0xc0 | cp >> 6);
  } else if (cp < 0x10000) {
    s += char(0xe0 | cp >> 12), s += char(0x80 | (cp >> 6 & 63));
  } else {
    s += char(0xf0 | cp >> 18), s += char(0x80 | (cp >> 12 & 63)), s += char(0x80 | (cp >> 6 & 63));
  }
  return s + char(0x80 | (cp & 63));
}

inline std::shared_ptr<const Masker> TestMasker() {
  return *Masker::Make(DefaultDetectors(), Secret("0123456789abcdef"));
}

}  // namespace sallyport::mask
