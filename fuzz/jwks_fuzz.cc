// A key set as an issuer might serve it. Whatever is imported keeps the promises of jwk.h.
#include <string_view>

#include "identity/jwk.h"

using namespace sallyport::identity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  auto set = KeySet::Import({reinterpret_cast<const char*>(data), size}, {});
  if (!set) return 0;
  for (const Key& key : set->keys()) {
    if (key.pkey == nullptr || key.thumbprint.size() != 43) __builtin_trap();
    bool rsa = key.alg == Alg::rs256 || key.alg == Alg::ps256;
    if (rsa &&
        (EVP_PKEY_get_bits(key.pkey.get()) < 2048 || EVP_PKEY_get_bits(key.pkey.get()) > 8192)) {
      __builtin_trap();
    }
    if (set->Find(key.kid) == nullptr && !key.kid.empty()) __builtin_trap();
  }
  return 0;
}
