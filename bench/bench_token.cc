// Writes a key set of one fresh key to FILE and prints an access token for it: an issuer for benchmarks.
// usage: bench_token FILE ISSUER AUDIENCE
#include <cstdio>
#include <fstream>

#include "base/clock.h"
#include "base/ids.h"
#include "identity/signer.h"

int main(int argc, char** argv) {
  using namespace sallyport;
  if (argc != 4) {
    std::fprintf(stderr, "usage: bench_token FILE ISSUER AUDIENCE\n");
    return 2;
  }
  const auto signer = identity::Signer::Generate(identity::Alg::es256, "bench");
  if (!signer) return 1;
  std::ofstream(argv[1]) << identity::Jwks({signer->PublicJwk()});
  const int64_t now = SystemClock().WallNow() / 1'000'000'000;
  const std::string claims = std::string(R"({"iss":")") + argv[2] + R"(","aud":")" + argv[3] +
                             R"(","sub":"bench","client_id":"bench","email":"bench@example.com","groups":["bench"],"iat":)" +
                             std::to_string(now) + R"(,"exp":)" + std::to_string(now + 36'000) + "}";
  const auto token = signer->Sign(claims);
  if (!token) return 1;
  std::printf("%s\n", token->c_str());
  return 0;
}
