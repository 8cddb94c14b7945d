// What a client says of itself, in a registration or a document on the network: whatever is read
// has redirects that mean the same to every reader, and a name that is plain.
#include <algorithm>
#include <string_view>

#include "oauth/client.h"

using namespace sallyport::oauth;

namespace {

void CheckRedirect(const RedirectUri& uri) {
  const auto again = RedirectUri::Parse(uri.text, true);
  if (!again || !again->Allows(uri) || !uri.Allows(*again)) __builtin_trap();
  if (uri.text.find_first_of("#\\*<>\" \r\n") != std::string::npos) __builtin_trap();
  if (uri.kind == RedirectUri::Kind::loopback && uri.host != "127.0.0.1" && uri.host != "[::1]" &&
      uri.host != "localhost")
    __builtin_trap();
  if (uri.kind == RedirectUri::Kind::web && !uri.text.starts_with("https://")) __builtin_trap();
  if (uri.kind == RedirectUri::Kind::native && uri.host.find('.') == std::string::npos)
    __builtin_trap();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  for (const auto kind : {Client::Kind::registered, Client::Kind::document}) {
    const auto read = ReadClientMetadata(text, kind);
    if (!read) continue;
    if (read->redirects.empty() || read->redirects.size() > kMaxRedirects) __builtin_trap();
    for (const RedirectUri& uri : read->redirects) CheckRedirect(uri);
    if (!std::ranges::all_of(read->name, [](char c) { return c >= ' ' && c <= '~'; }))
      __builtin_trap();
  }
  if (const auto uri = RedirectUri::Parse(text)) CheckRedirect(*uri);
  return 0;
}
