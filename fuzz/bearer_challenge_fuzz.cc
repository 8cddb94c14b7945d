// WWW-Authenticate fields of upstreams: whatever is said, what is read fits the grammar of scopes
// and is not longer than the field.
#include <cstdlib>

#include "credential/auth_challenge.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport::credential;
  const std::string_view field(reinterpret_cast<const char*>(data), size);
  const auto challenge = ReadBearerChallenge(field);
  if (!challenge) return 0;
  if (!IsScope(challenge->scope) || challenge->error.size() > size ||
      challenge->resource_metadata.size() > size)
    std::abort();
  const std::string joined = JoinScopes(challenge->scope, challenge->error);
  if (!HoldsScopes(joined, challenge->scope) || !HoldsScopes(joined, joined)) std::abort();
  return 0;
}
