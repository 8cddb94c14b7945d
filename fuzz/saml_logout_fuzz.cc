// What anybody may send to the place of single logout: a query, a deflated message, and a message
// as it is read after its signature was found good.
#include <string>
#include <string_view>

#include "saml/logout.h"
#include "saml/redirect.h"

using namespace sallyport::saml;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (ReadRedirect(text, {"not a key"})) __builtin_trap();
  const auto inflated = Inflate(text, 4096);
  if (inflated && inflated->size() > 4096) __builtin_trap();
  LogoutExpected expected{.issuer = "https://idp.test",
                          .keys = {},
                          .signed_beside = true,
                          .destination = "https://gate.test/login/saml/logout",
                          .now = 1'795'196'790'000'000'000};
  const auto read = ReadLogout(text, expected);
  if (read && read->request == read->name_id.empty()) __builtin_trap();
  expected.signed_beside = false;
  if (ReadLogout(text, expected)) __builtin_trap();
  return 0;
}
