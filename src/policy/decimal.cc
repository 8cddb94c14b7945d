#include "policy/decimal.h"

#include <algorithm>
#include <functional>

namespace sallyport::policy {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// Takes the leading digits off `text`.
std::string_view TakeDigits(std::string_view& text) {
  size_t n = 0;
  while (n < text.size() && IsDigit(text[n])) ++n;
  auto digits = text.substr(0, n);
  text.remove_prefix(n);
  return digits;
}

std::optional<int64_t> TakeExponent(std::string_view& text) {
  if (text.empty() || (text[0] != 'e' && text[0] != 'E')) return 0;
  text.remove_prefix(1);
  bool minus = text.starts_with('-');
  if (minus || text.starts_with('+')) text.remove_prefix(1);
  auto digits = TakeDigits(text);
  if (digits.empty()) return std::nullopt;
  digits.remove_prefix(std::min(digits.find_first_not_of('0'), digits.size()));
  if (digits.size() > 9) return std::nullopt;
  int64_t value = 0;
  for (char c : digits) value = value * 10 + (c - '0');
  return minus ? -value : value;
}

}  // namespace

std::optional<Decimal> Decimal::Parse(std::string_view text) {
  Decimal d;
  if (text.starts_with('-')) {
    d.negative_ = true;
    text.remove_prefix(1);
  }
  auto whole = TakeDigits(text);
  if (whole.empty() || (whole.size() > 1 && whole[0] == '0')) return std::nullopt;
  std::string_view fraction;
  if (text.starts_with('.')) {
    text.remove_prefix(1);
    fraction = TakeDigits(text);
    if (fraction.empty()) return std::nullopt;
  }
  auto exponent = TakeExponent(text);
  if (!exponent || !text.empty()) return std::nullopt;

  d.digits_.reserve(whole.size() + fraction.size());
  d.digits_.append(whole).append(fraction);
  auto first = d.digits_.find_first_not_of('0');
  if (first == std::string::npos) return Decimal();  // every zero is the same, -0 included
  d.digits_.erase(d.digits_.find_last_not_of('0') + 1);
  d.digits_.erase(0, first);
  d.exponent_ = *exponent + static_cast<int64_t>(whole.size()) - static_cast<int64_t>(first);
  return d;
}

std::strong_ordering Decimal::operator<=>(const Decimal& other) const {
  auto sign = [](const Decimal& d) { return d.digits_.empty() ? 0 : d.negative_ ? -1 : 1; };
  if (auto order = sign(*this) <=> sign(other); order != 0) return order;
  if (digits_.empty()) return std::strong_ordering::equal;
  auto size = exponent_ != other.exponent_ ? exponent_ <=> other.exponent_
                                           : digits_.compare(other.digits_) <=> 0;
  return negative_ ? 0 <=> size : size;
}

size_t Decimal::Hash() const {
  size_t hash = std::hash<std::string_view>{}(digits_);
  return hash ^ (static_cast<size_t>(exponent_) * 2 + (negative_ ? 1 : 0)) * 0x9e3779b97f4a7c15;
}

}  // namespace sallyport::policy
