#include "mask/iin_table.h"

#include <array>
#include <iterator>

namespace sallyport::mask {
namespace {

constexpr uint8_t L(int n) { return uint8_t(1u << (n - 12)); }
template <class... N>
constexpr uint8_t L(int n, N... more) {
  return uint8_t(L(n) | L(more...));
}
constexpr uint8_t kAll = 0xff;  // 12…19

struct Row {
  uint32_t lo, hi;  // first six digits
  uint8_t lengths;
  std::string_view network;
  Trust trust;       // of the lengths in `common`
  uint8_t common;    // lengths in everyday use
  Trust rare_trust;  // of the others
  bool luhn_optional = false;
};

using enum Trust;

// Narrow ranges first: the first row that fits is the match.
constexpr Row kRows[] = {
    // Ranges that a network carved out of another one's.
    {606282, 606282, L(16, 19), "hipercard", strong, L(16), weak},
    {384100, 384100, L(16, 19), "hipercard", strong, L(16), weak},
    {384140, 384140, L(16, 19), "hipercard", strong, L(16), weak},
    {384160, 384160, L(16, 19), "hipercard", strong, L(16), weak},
    {637095, 637095, L(16), "hiper", strong, L(16), weak},
    {637568, 637568, L(16), "hiper", strong, L(16), weak},
    {637599, 637599, L(16), "hiper", strong, L(16), weak},
    {637609, 637609, L(16), "hiper", strong, L(16), weak},
    {637612, 637612, L(16), "hiper", strong, L(16), weak},
    {589562, 589562, L(16), "naranja", strong, L(16), weak},
    {402918, 402918, L(16), "naranja", strong, L(16), weak},
    {527572, 527572, L(16), "naranja", strong, L(16), weak},
    {506099, 506198, L(16, 18, 19), "verve", strong, L(16, 19), weak},
    {507865, 507964, L(16, 18, 19), "verve", strong, L(16, 19), weak},
    {650002, 650027, L(16, 18, 19), "verve", strong, L(16, 19), weak},
    {401178, 401179, L(16), "elo", strong, L(16), weak},
    {438935, 438935, L(16), "elo", strong, L(16), weak},
    {457631, 457632, L(16), "elo", strong, L(16), weak},
    {431274, 431274, L(16), "elo", strong, L(16), weak},
    {451416, 451416, L(16), "elo", strong, L(16), weak},
    {457393, 457393, L(16), "elo", strong, L(16), weak},
    {504175, 504175, L(16), "elo", strong, L(16), weak},
    {506699, 506778, L(16), "elo", strong, L(16), weak},
    {509000, 509999, L(16), "elo", strong, L(16), weak},
    {627780, 627780, L(16), "elo", strong, L(16), weak},
    {636297, 636297, L(16), "elo", strong, L(16), weak},
    {636368, 636368, L(16), "elo", strong, L(16), weak},
    {650031, 650051, L(16), "elo", strong, L(16), weak},
    {650405, 650439, L(16), "elo", strong, L(16), weak},
    {650485, 650598, L(16), "elo", strong, L(16), weak},
    {650700, 650727, L(16), "elo", strong, L(16), weak},
    {650901, 650978, L(16), "elo", strong, L(16), weak},
    {651652, 651679, L(16), "elo", strong, L(16), weak},
    {655000, 655058, L(16), "elo", strong, L(16), weak},
    {652100, 653149, L(16), "rupay", strong, L(16), weak},
    {508000, 508999, L(16), "rupay", strong, L(16), weak},
    {606985, 608500, L(16), "rupay", strong, L(16), weak},
    {501900, 501999, L(16), "dankort", strong, L(16), weak},
    {490300, 490399, L(16, 18, 19), "switch", strong, L(16), weak},
    {564182, 564182, L(16, 18, 19), "switch", strong, L(16), weak},
    {633110, 633110, L(16, 18, 19), "switch", strong, L(16), weak},
    {633300, 633399, L(16, 18, 19), "switch", strong, L(16), weak},
    {633400, 633499, L(16, 18, 19), "solo", strong, L(16), weak},
    {676700, 676799, L(16, 18, 19), "solo", strong, L(16), weak},
    {630400, 630499, L(16, 17, 18, 19), "laser", strong, L(16), weak},
    {670600, 670699, L(16, 17, 18, 19), "laser", strong, L(16), weak},
    {677100, 677199, L(16, 17, 18, 19), "laser", strong, L(16), weak},
    {670900, 670999, L(16, 17, 18, 19), "laser", strong, L(16), weak},
    {357111, 357111, L(16), "lankapay", strong, L(16), weak},
    // The big networks.
    {400000, 499999, L(16, 19), "visa", strong, L(16, 19), weak},
    {400000, 499999, L(13), "visa", medium, L(13), medium},
    {400000, 499999, L(18), "visa", weak, L(18), weak},
    {510000, 559999, L(16), "mastercard", strong, L(16), weak},
    {222100, 272099, L(16), "mastercard", strong, L(16), weak},
    {340000, 349999, L(15), "amex", strong, L(15), weak},
    {370000, 379999, L(15), "amex", strong, L(15), weak},
    {601100, 601199, L(16, 17, 18, 19), "discover", strong, L(16, 19), weak},
    {644000, 659999, L(16, 17, 18, 19), "discover", strong, L(16, 19), weak},
    {352800, 358999, L(16, 17, 18, 19), "jcb", strong, L(16, 19), weak},
    {180000, 180099, L(15), "jcb", weak, L(15), weak},
    {213100, 213199, L(15), "jcb", weak, L(15), weak},
    {300000, 305999, L(14, 16, 17, 18, 19), "diners", medium, L(14), weak},
    {309000, 309999, L(14, 16, 17, 18, 19), "diners", medium, L(14), weak},
    {360000, 369999, L(14, 15, 16, 17, 18, 19), "diners", medium, L(14), weak},
    {380000, 399999, L(14, 16, 17, 18, 19), "diners", medium, L(14), weak},
    {620000, 629999, L(14, 15, 16, 17, 18, 19), "unionpay", strong, L(16, 19), weak, true},
    {810000, 817199, L(14, 15, 16, 17, 18, 19), "unionpay", strong, L(16, 19), weak, true},
    {310000, 319999, L(19), "unionpay", context, L(19), context},
    {220000, 220499, L(16, 17, 18, 19), "mir", strong, L(16, 19), weak},
    {979200, 979299, L(16), "troy", strong, L(16), weak},
    {817200, 829999, L(16), "rupay", medium, L(16), weak},
    {500000, 509999, kAll, "maestro", strong, L(16, 19), weak},
    {560000, 589999, kAll, "maestro", strong, L(16, 19), weak},
    {630000, 639999, kAll, "maestro", strong, L(16, 19), weak},
    {670000, 679999, kAll, "maestro", strong, L(16, 19), weak},
    {610000, 619999, kAll, "maestro", medium, L(16, 19), weak},
    {600000, 609999, kAll, "maestro", medium, L(16), weak},
    {680000, 699999, kAll, "maestro", weak, L(16), weak},
    {493698, 493698, kAll, "maestro", weak, L(16), weak},
    // Numbers that look like many other things.
    {100000, 199999, L(15), "uatp", context, L(15), context},
    {220500, 220599, L(16), "borica", context, L(16), context},
    {860000, 860099, L(16), "uzcard", context, L(16), context},
    {986000, 986099, L(16), "humo", context, L(16), context},
    {970400, 970499, L(16, 17, 18, 19), "napas", context, L(16), context},
    {911200, 911299, L(16), "belkart", context, L(16), context},
    {194600, 194699, L(16), "gpn", context, L(16), context},
};

constexpr auto kPrefix4 = [] {
  std::array<uint8_t, 10000> t{};
  for (const Row& row : kRows) {
    for (uint32_t p = row.lo / 100; p <= row.hi / 100; p++) t[p] |= row.lengths;
  }
  return t;
}();

/// The first row that has the four digits in its range.
constexpr auto kFirstRow = [] {
  std::array<uint8_t, 10000> t{};
  for (size_t k = std::size(kRows); k > 0; k--) {
    for (uint32_t p = kRows[k - 1].lo / 100; p <= kRows[k - 1].hi / 100; p++) t[p] = uint8_t(k - 1);
  }
  return t;
}();

}  // namespace

const uint8_t* const kLengthsOfPrefix4 = kPrefix4.data();

std::optional<IinMatch> LookUpIin(const uint8_t* d, int length) {
  if (length < 12 || length > 19) return std::nullopt;
  const uint8_t bit = L(length);
  const uint32_t p4 = uint32_t(d[0] * 1000 + d[1] * 100 + d[2] * 10 + d[3]);
  if (!(kPrefix4[p4] & bit)) return std::nullopt;
  const uint32_t p6 = p4 * 100 + d[4] * 10 + d[5];
  for (size_t k = kFirstRow[p4]; k < std::size(kRows); k++) {
    const Row& row = kRows[k];
    if (p6 < row.lo || p6 > row.hi || !(row.lengths & bit)) continue;
    return IinMatch{row.network, row.common & bit ? row.trust : row.rare_trust, row.luhn_optional};
  }
  return std::nullopt;
}

bool LuhnOk(const uint8_t* d, int length) {
  constexpr uint8_t kTwice[10] = {0, 2, 4, 6, 8, 1, 3, 5, 7, 9};
  int sum = 0;
  for (int i = length - 1, odd = 0; i >= 0; i--, odd ^= 1) sum += odd ? kTwice[d[i]] : d[i];
  return sum % 10 == 0;
}

}  // namespace sallyport::mask
