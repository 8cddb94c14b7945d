// An answer of STS or a metadata service, and a shared credentials file, as anybody might write
// them. What is read can stand in a header.
#include <string_view>

#include "credential/aws_keys.h"
#include "credential/aws_metadata.h"

using namespace sallyport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Nanos end = 0;
  for (const auto read : {credential::ReadAssumedRole, credential::ReadMetadataKey}) {
    const auto key = read(text, end);
    if (!key) continue;
    if (key->id.empty() || key->secret.empty() || key->session_token.empty()) __builtin_trap();
    for (const std::string_view part :
         {std::string_view(key->id), key->secret.Reveal(), key->session_token.Reveal()}) {
      for (const char c : part) {
        if (c <= ' ' || c >= 0x7f) __builtin_trap();
      }
    }
  }
  if (const auto key = credential::ReadSharedCredentials(text, "default")) {
    if (key->id.empty() || key->secret.empty()) __builtin_trap();
    if (key->id.contains('\n') || key->secret.Reveal().contains('\n')) __builtin_trap();
  }
  return 0;
}
