// What a token costs: judged for the first time, per algorithm, and seen before (aim: at most 2
// µs).
#include <benchmark/benchmark.h>
#include <cstdlib>
#include <memory>
#include <string>
#include <vector>

#include "identity/signer.h"
#include "identity/verifier.h"

namespace sallyport::identity {
namespace {

constexpr const char* kIssuer = "https://idp";

std::string Claims(int serial) {
  int64_t now = SystemClock().WallNow() / 1'000'000'000;
  return R"({"iss":"https://idp","aud":"https://gate.example.com","sub":"7f9c1d3e-alice","client_id":"desk",)"
         R"("email":"alice@example.com","groups":["support","payments-platform","eu-west"],"jti":")" +
         std::to_string(serial) + R"(","scope":"openid mcp","iat":)" + std::to_string(now) +
         R"(,"exp":)" + std::to_string(now + 3600) + "}";
}

std::unique_ptr<TokenVerifier> MakeVerifier(const Signer& signer, size_t cache_entries) {
  ProviderConfig p;
  p.name = "corp";
  p.issuer = kIssuer;
  p.audiences = {"https://gate.example.com"};
  p.jwks_uri = "https://idp/jwks";
  auto fetch = [jwks = Jwks({signer.PublicJwk()})](const FetchRequest&) -> Result<FetchResponse> {
    return FetchResponse{.status = 200, .headers = {}, .body = jwks};
  };
  TokenVerifier::Options options;
  options.cache_entries = cache_entries;
  auto verifier =
      TokenVerifier::Create({.providers = {p}, .agents = {}}, fetch, SystemClock(), options);
  if (!verifier || !(*verifier)->FetchDue()) std::abort();
  return std::move(*verifier);
}

void Cold(benchmark::State& state, Alg alg) {
  Signer signer = *Signer::Generate(alg, "k1");
  auto verifier = MakeVerifier(signer, 16);  // one entry per part: nothing is found again
  std::vector<std::string> tokens;
  for (int i = 0; i < 1024; ++i) tokens.push_back(*signer.Sign(Claims(i)));
  size_t i = 0;
  for (auto _ : state) {
    auto verdict = verifier->Verify(tokens[i++ % tokens.size()]);
    if (!verdict) state.SkipWithError("refused");
  }
  state.SetLabel(std::to_string(tokens[0].size()) + " bytes");
}
BENCHMARK_CAPTURE(Cold, RS256, Alg::rs256)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Cold, PS256, Alg::ps256)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Cold, ES256, Alg::es256)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Cold, ES384, Alg::es384)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Cold, EdDSA, Alg::eddsa)->Unit(benchmark::kMicrosecond);

void Cached(benchmark::State& state, Alg alg) {
  static const Signer signer = *Signer::Generate(alg, "k1");
  static const auto verifier = MakeVerifier(signer, 16384);
  static const std::string token = *signer.Sign(Claims(0));
  for (auto _ : state) {
    auto verdict = verifier->Verify(token);
    if (!verdict) state.SkipWithError("refused");
    benchmark::DoNotOptimize(verdict);
  }
  state.SetLabel(std::to_string(token.size()) + " bytes");
}
BENCHMARK_CAPTURE(Cached, RS256, Alg::rs256)->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Cached, RS256_two_threads, Alg::rs256)->Threads(2)->Unit(benchmark::kMicrosecond);

void Refused(benchmark::State& state, const char* header) {
  Signer signer = *Signer::Generate(Alg::es256, "k1");
  auto verifier = MakeVerifier(signer, 16);
  std::string token = *signer.SignWithHeader(header, Claims(0));
  for (auto _ : state) benchmark::DoNotOptimize(verifier->Verify(token));
}
BENCHMARK_CAPTURE(Refused, unknown_kid, R"({"alg":"ES256","kid":"x"})")
    ->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Refused, alg_none, R"({"alg":"none","kid":"k1"})")->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sallyport::identity
