#include "mask/number_text.h"

#include <cstdint>

namespace sallyport::mask {

std::string IntegerDigits(std::string_view t) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  size_t i = 0;
  if (i < t.size() && (t[i] == '-' || t[i] == '+')) i++;
  std::string digits;
  int64_t point = 0;
  for (; i < t.size() && digit(t[i]); i++) digits += t[i], point++;
  if (i < t.size() && t[i] == '.') {
    for (i++; i < t.size() && digit(t[i]); i++) digits += t[i];
  }
  if (digits.empty()) return {};
  if (i < t.size() && (t[i] == 'e' || t[i] == 'E')) {
    i++;
    const bool minus = i < t.size() && t[i] == '-';
    if (i < t.size() && (t[i] == '-' || t[i] == '+')) i++;
    int64_t e = 0;
    for (; i < t.size() && digit(t[i]); i++) {
      if (e < 100000) e = e * 10 + (t[i] - '0');
    }
    point += minus ? -e : e;
  }
  if (i != t.size() || point <= 0 || point > 60) return {};
  digits.resize(size_t(point), '0');
  const size_t first = digits.find_first_not_of('0');
  if (first == std::string::npos || digits.size() - first > 40) return {};
  return digits.substr(first);
}

}  // namespace sallyport::mask
