// The body of a request to revoke: whoever is read out of it is somebody of the provider that asks.
#include <string_view>

#include "identity/signals.h"

using namespace sallyport::identity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto whom = ReadRevocationBody({reinterpret_cast<const char*>(data), size}, "https://idp");
  if (!whom) return 0;
  if (whom->subject.empty() == whom->email.empty()) __builtin_trap();
  if (whom->subject.size() > 255 || whom->email.size() > 254 || whom->sid.size() > 255)
    __builtin_trap();
  return 0;
}
