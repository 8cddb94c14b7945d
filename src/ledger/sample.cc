#include "ledger/sample.h"

#include <algorithm>
#include <openssl/hmac.h>
#include <set>
#include <string>

#include "base/bytes.h"

namespace sallyport::ledger {

std::vector<uint64_t> SampleIndexes(std::string_view seed, uint64_t size, uint64_t count) {
  std::vector<uint64_t> drawn;
  std::set<uint64_t> before;
  count = std::min(count, size);
  for (uint64_t i = 0; drawn.size() < count; ++i) {
    const std::string message = std::to_string(i);
    uint8_t mac[32];
    unsigned length = sizeof mac;
    HMAC(EVP_sha256(), seed.data(), int(seed.size()), AsBytes(message).data(), message.size(), mac,
         &length);
    const uint64_t index = (uint64_t(LoadBe32(mac)) << 32 | LoadBe32(mac + 4)) % size;
    if (before.insert(index).second) drawn.push_back(index);
  }
  return drawn;
}

}  // namespace sallyport::ledger
