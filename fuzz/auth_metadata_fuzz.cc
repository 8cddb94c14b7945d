// What upstreams, authorization servers and token endpoints say. The first byte chooses the reader;
// what is taken is of whom was asked.
#include <cstdlib>

#include "credential/auth_metadata.h"
#include "credential/user_tokens.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace sallyport::credential;
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] % 3 == 0) {
    const auto read = ReadResourceMetadata(text, "https://up.example/mcp");
    if (read && OriginOfUrl(read->resource) != "https://up.example") std::abort();
    if (read && read->authorization_servers.empty()) std::abort();
  } else if (data[0] % 3 == 1) {
    const auto read = ReadAuthServer(text, "https://login.example");
    if (!read) return 0;
    if (read->issuer != "https://login.example") std::abort();
    if (!IsSafeUrl(read->authorize_url, true) || !IsSafeUrl(read->token_url, true)) std::abort();
  } else {
    const auto read = ReadUserTokens(text);
    if (!read) return 0;
    const std::string_view access = read->access.Reveal();
    if (access.empty() || access.find_first_of("\r\n ") != access.npos) std::abort();
    if (read->seconds < 0) std::abort();
  }
  return 0;
}
