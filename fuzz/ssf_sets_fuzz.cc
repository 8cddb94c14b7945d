// What a transmitter answers to a poll.
#include <string_view>

#include "api/ssf_poll.h"

using namespace sallyport::api;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto sets = ReadSets({reinterpret_cast<const char*>(data), size});
  if (!sets) return 0;
  for (const auto& [id, token] : *sets) {
    if (id.empty()) __builtin_trap();
  }
  return 0;
}
