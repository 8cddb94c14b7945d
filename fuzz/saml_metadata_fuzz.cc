// Metadata of a provider: what is read has an address that a browser may be sent to, and usable
// keys.
#include <string_view>

#include "saml/key.h"
#include "saml/metadata.h"

using namespace sallyport::saml;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto found = ReadMetadata({reinterpret_cast<const char*>(data), size}, 0);
  if (!found) return 0;
  if (!found->sso_url.starts_with("https://") && !found->sso_url.starts_with("http://"))
    __builtin_trap();
  if (found->entity_id.empty() || found->keys.empty()) __builtin_trap();
  for (const auto& key : found->keys) {
    if (!IsUsableKey(key)) __builtin_trap();
  }
  return 0;
}
