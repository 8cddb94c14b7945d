#include "credential/material.h"

#include <algorithm>

namespace sallyport::credential {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kRenewBefore = 300 * kSecond;
constexpr Nanos kUnusedBefore = 10 * kSecond;

}  // namespace

void SetTimes(Material& material, Nanos now, Nanos end) {
  const Nanos life = std::max<Nanos>(end - now, 0);
  material.obtained_at = now;
  material.renew_at = end - std::min(kRenewBefore, life / 4);
  material.unusable_at = end - std::min(kUnusedBefore, life / 10);
}

}  // namespace sallyport::credential
