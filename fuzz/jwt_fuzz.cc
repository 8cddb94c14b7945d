// A bearer token from anyone: parsed, looked up, and its claims judged in every class, with the
// signature check both reached (a good key with that kid) and not.
#include <string_view>

#include "identity/claims.h"
#include "identity/groups.h"
#include "identity/jws.h"
#include "identity/principal.h"
#include "identity/signer.h"

using namespace sallyport;
using namespace sallyport::identity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Signer signer = *Signer::Generate(Alg::eddsa, "k");
  static const KeySet keys = *KeySet::Import(Jwks({signer.PublicJwk()}), {});
  static const ProviderConfig provider = [] {
    ProviderConfig p;
    p.name = "corp";
    p.issuer = "https://idp";
    p.audiences = {"sallyport"};
    return p;
  }();
  static const Nanos now = 1'795'200'000'000'000'000;

  std::string_view input(reinterpret_cast<const char*>(data), size);
  // Once as a whole token, once as the claims of one that is well signed.
  std::string signed_token = *signer.Sign(input);
  for (std::string_view token : {input, std::string_view(signed_token)}) {
    auto jws = ParseJws(token);
    if (!jws) continue;
    if (const Key* key = keys.Find(jws->kid)) {
      if (!VerifySignature(*jws, *key) && token.data() == signed_token.data()) __builtin_trap();
    }
    for (auto token_class : {TokenClass::access, TokenClass::ci_workload, TokenClass::id_token}) {
      ProviderConfig p = provider;
      p.token_class = token_class;
      auto checked = CheckClaims(*jws, p, {"desk"}, now);
      if (!checked) continue;
      auto made = MakeVerified(jws->claims.root(), *checked, p, {});
      if (made && made->principal.subject.empty()) __builtin_trap();
      if (made && made->expires_at < now - 61'000'000'000) __builtin_trap();
    }
    (void)ReadGroups(jws->claims.root(), "a.b", 3);
  }
  return 0;
}
