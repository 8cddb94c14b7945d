#include "mask/hidden_number.h"

#include <algorithm>
#include <vector>

namespace sallyport::mask {
namespace {

constexpr size_t kShortest = 13, kLongest = 19;  // ISO/IEC 7812

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

bool IsNumber(const Masker& masker, std::string_view digits) {
  std::vector<Finding> findings;
  masker.FindText(digits, {}, findings);
  return !findings.empty();
}

}  // namespace

bool HidesNumber(const Masker& masker, std::string_view identifier) {
  for (auto at = identifier.begin(); at != identifier.end();) {
    at = std::find_if(at, identifier.end(), IsDigit);
    const auto end = std::find_if_not(at, identifier.end(), IsDigit);
    const std::string_view run(at, end);
    for (size_t from = 0; from + kShortest <= run.size(); ++from) {
      for (size_t n = kShortest; n <= std::min(kLongest, run.size() - from); ++n) {
        if (IsNumber(masker, run.substr(from, n))) return true;
      }
    }
    at = end;
  }
  return false;
}

}  // namespace sallyport::mask
