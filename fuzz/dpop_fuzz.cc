// A DPoP proof from anyone, whole, and as the claims and the header of one that is well signed by
// its own key: it holds only if it says what this request is.
#include <algorithm>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "identity/dpop.h"
#include "identity/signer.h"
#include "json/document.h"

using namespace sallyport;
using namespace sallyport::identity;

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const Signer signer = *Signer::Generate(Alg::eddsa, "k");
  static const std::string header =
      R"({"typ":"dpop+jwt","alg":"EdDSA","jwk":)" + signer.PublicJwk() + "}";
  static const Nanos now = 1'795'200'000'000'000'000;
  static const ProofFor request{
      .method = "POST", .url = "https://gate.example.com/mcp/up", .token = "token"};

  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t line = std::min(input.find('\n'), input.size());
  const std::string whole(input);
  const std::string claims = *signer.SignWithHeader(header, input);
  const std::string both = *signer.SignWithHeader(input.substr(0, line), input.substr(line));
  for (const std::string& text : {whole, claims, both}) {
    const auto proof = ReadProof(text, request, now);
    if (!proof) continue;
    if (proof->key.size() != 43) __builtin_trap();
    if (proof->issued_at < now - 60'000'000'000 || proof->issued_at > now + 60'000'000'000)
      __builtin_trap();
    if (&text == &claims) {
      const auto document = json::Document::Parse(input);
      if (!document || document->root()["htm"].string() != "POST") __builtin_trap();
    }
    UsedProofs used;
    if (!used.Take(*proof, now) || used.Take(*proof, now)) __builtin_trap();
  }
  return 0;
}
