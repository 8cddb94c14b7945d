#include <cstdint>
#include <string_view>

#include "credential/store_answers.h"

// What stores of secrets answer: read or refused, never a crash.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport::credential;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  (void)ReadVaultSecret(text);
  (void)ReadVaultToken(text);
  (void)ReadVaultLease(text, true);
  (void)ReadVaultLease(text, false);
  (void)ReadSecretValue(text);
  (void)AwsErrorName(text);
  return 0;
}
