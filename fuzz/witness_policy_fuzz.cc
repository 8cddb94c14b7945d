// A policy that somebody hands to an assessor. What it accepts has a log and a quorum that can be
// met or not.
#include <string_view>

#include "witness/policy.h"

using namespace sallyport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto policy = witness::Policy::Parse({reinterpret_cast<const char*>(data), size});
  if (!policy) return 0;
  if (policy->Check("not signed by anybody\n\n\u2014 x AAAAAAA=\n")) __builtin_trap();
  return 0;
}
