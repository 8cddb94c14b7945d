// A server's log of connections as anybody might write into it.
#include <string_view>

#include "pg/connection_log.h"

using namespace sallyport;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  pg::ConnectionLog log;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    const auto made = log.Take(text.substr(0, end));
    if (made && made->line != log.lines()) __builtin_trap();
    if (end == text.npos) break;
    text.remove_prefix(end + 1);
  }
  if (log.authorized() > log.lines()) __builtin_trap();
  return 0;
}
