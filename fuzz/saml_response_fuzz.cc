// What a provider's form may bring. Nothing that nobody has signed is ever accepted: the target
// knows no key.
#include <string>
#include <string_view>

#include "saml/response.h"

using namespace sallyport::saml;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const Expected expected{.issuer = "http://127.0.0.1:3910/idp",
                          .keys = {"not a key"},
                          .audience = "http://127.0.0.1:8443/saml/metadata",
                          .acs = "http://127.0.0.1:8443/saml/acs",
                          .request_id = "_7A8DCC708FB7433CFD330B059CCE32A4",
                          .now = 1'795'196'790'000'000'000};
  if (VerifyResponse({reinterpret_cast<const char*>(data), size}, expected)) __builtin_trap();
  return 0;
}
