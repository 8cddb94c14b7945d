// What a provider answers about an opaque token, and a cluster about an account's: read from a
// server that is not ours, with the tokens that it is asked about.
#include <string_view>

#include "identity/claims.h"
#include "identity/introspection.h"
#include "identity/principal.h"
#include "identity/token_review.h"

using namespace sallyport;
using namespace sallyport::identity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  static const Nanos now = 1'795'200'000'000'000'000;
  static const ProviderConfig provider = [] {
    ProviderConfig p;
    p.name = "corp";
    p.issuer = "https://idp";
    p.audiences = {"sallyport"};
    p.introspection.client_id = "gate";
    p.introspection.endpoint = "https://idp/introspect";
    p.token_review.url = "https://idp";
    return p;
  }();
  (void)IsOpaque(input);
  const auto fetch = [&](const FetchRequest&) -> Result<FetchResponse> {
    return FetchResponse{.status = 200, .headers = {}, .body = std::string(input)};
  };
  const auto resolve = [](const secrets::Ref&) -> Result<Secret> { return Secret("secret"); };
  (void)MakeTokenReview(provider, fetch, resolve)("token", {});
  const auto said = MakeIntrospection(provider, fetch, resolve)("opaque-token", {});
  if (!said) return 0;
  const auto document = json::Document::Parse(*said, {.max_bytes = 64 * 1024, .max_depth = 16});
  if (!document || document->root()["active"].boolean() != true) __builtin_trap();
  const auto checked = CheckIntrospected(document->root(), provider, {"desk"}, now);
  if (!checked) return 0;
  if (!document->root()["aud"] || !document->root()["exp"]) __builtin_trap();
  if (checked->valid_until <= now || checked->subject.empty()) __builtin_trap();
  if (document->root()["cnf"] && checked->bound_key.empty() && checked->bound_certificate.empty())
    __builtin_trap();
  (void)MakeVerified(document->root(), *checked, provider, {});
  return 0;
}
