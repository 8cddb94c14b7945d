// What a provider's form may bring. The target knows the provider's real key, so the seeds are
// accepted and what is made of them goes through the signature check: whatever is accepted says
// about the person exactly what was signed.
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "saml/response.h"

using namespace sallyport;
using namespace sallyport::saml;

namespace {

/// Of testdata/saml/idp.crt.
constexpr std::string_view kKey =
    "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAohd+PFpTculL/hwTVog1PFm2gTdglGFVb/vkAxXBEG9t"
    "v5lGelH4uS+a4Bx5ulvj9ti4SiibEDBf9Y/DWZ6mBD9iib3Y1k6fG4R7RMljjmazpcabDLHFLd3UT16UKOcxbgVt"
    "CQC2ZcD6IZeSaP+1k03+26aXhgyBUwHL7WpqjixED/DfhmmD2CeldaORc05BRx32JzW4ab3d7jf3JErmkoac9hII"
    "e1ZfxY/ia2mYYI6itcSmdQ8r3c6GouRu6xVVWtEEkMv/Tfsc/OW9fJt/f5D7hS0k/lRTTZY0i3hmsceM7JH32NeI"
    "Kzd5RMOsweY1cPin2vlmvM6S719K3NE85QIDAQAB";

std::string Key() {
  const auto der = Base64Decode(kKey);
  return der ? std::string(AsText(*der)) : std::string();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Expected kExpected{.issuer = "http://127.0.0.1:3910/idp",
                                  .keys = {Key()},
                                  .audience = "http://127.0.0.1:8443/saml/metadata",
                                  .acs = "http://127.0.0.1:8443/saml/acs",
                                  .request_id = "_7A8DCC708FB7433CFD330B059CCE32A4",
                                  .now = 1'795'196'790'000'000'000};
  if (kExpected.keys[0].empty()) __builtin_trap();
  const auto verdict = VerifyResponse({reinterpret_cast<const char*>(data), size}, kExpected);
  if (!verdict) return 0;
  const bool genuine = verdict->name_id.value == "alice@example.test" &&
                       verdict->id == "_86839d70e0f8e0a4e301a9cb255ae91951cc546c57" &&
                       verdict->attributes.contains("groups") &&
                       verdict->attributes.at("groups") == std::vector<std::string>{"dba", "dev"};
  if (!genuine) __builtin_trap();
  return 0;
}
