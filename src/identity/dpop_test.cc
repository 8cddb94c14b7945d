#include "identity/dpop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "identity/signer.h"
#include "identity/test_idp.h"
#include "identity/verifier.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using test::kIat;

constexpr const char* kUrl = "https://gate.example.com/mcp/up";

class DpopTest : public testing::Test {
 protected:
  static json Header(const Signer& signer) {
    json jwk = json::parse(signer.PublicJwk());
    return {{"typ", "dpop+jwt"}, {"alg", jwk["alg"]}, {"jwk", jwk}};
  }
  json Claims(const std::string& token = "token") {
    return {{"htm", "POST"},
            {"htu", kUrl},
            {"iat", kIat},
            {"jti", "id-" + std::to_string(++number_)},
            {"ath", Base64UrlEncode(access::DigestToken(token))}};
  }
  std::string Make(const json& header, const json& claims) {
    return *signer_.SignWithHeader(header.dump(), claims.dump());
  }
  std::string Code(const std::string& proof, std::string_view method = "POST",
                   std::string_view url = kUrl, std::string_view token = "token") {
    const auto read =
        ReadProof(proof, {.method = method, .url = url, .token = token}, clock_.WallNow());
    if (read) key_ = read->key;
    return read ? "ok" : std::string(ReasonCode(read.error().code));
  }
  std::string With(const char* name, json value) {
    json claims = Claims();
    claims[name] = std::move(value);
    return Code(Make(Header(signer_), claims));
  }
  std::string WithHeader(const char* name, json value) {
    json header = Header(signer_);
    header[name] = std::move(value);
    return Code(Make(header, Claims()));
  }

  Signer signer_ = *Signer::Generate(Alg::es256, "k1");
  test::FakeClock clock_;
  int number_ = 0;
  std::string key_;
};

TEST_F(DpopTest, AProofForThisRequestHolds) {
  EXPECT_EQ(Code(Make(Header(signer_), Claims())), "ok");
  EXPECT_EQ(key_.size(), 43u);
  EXPECT_EQ(With("iat", kIat - 60), "ok");
  EXPECT_EQ(With("iat", kIat + 60), "ok");
  EXPECT_EQ(With("iat", kIat + 0.5), "ok");
  // The same place in another spelling; the query is no part of it.
  EXPECT_EQ(With("htu", "HTTPS://Gate.Example.COM:443/mcp/up"), "ok");
  EXPECT_EQ(With("htu", "https://gate.example.com/mcp/up?a=b#c"), "ok");
}

TEST_F(DpopTest, AProofForAnotherRequestDoesNot) {
  const std::string no = "token-proof-invalid";
  EXPECT_EQ(With("htm", "GET"), no);
  EXPECT_EQ(With("htm", "post"), no);
  EXPECT_EQ(With("htm", json::array({"POST"})), no);
  EXPECT_EQ(With("htu", "https://gate.example.com/mcp/up2"), no);
  EXPECT_EQ(With("htu", "https://gate.example.com/mcp/UP"), no);
  EXPECT_EQ(With("htu", "http://gate.example.com/mcp/up"), no);
  EXPECT_EQ(With("htu", "https://gate.example.com.evil/mcp/up"), no);
  EXPECT_EQ(With("htu", ""), no);
  EXPECT_EQ(With("htu", 7), no);
  EXPECT_EQ(With("iat", kIat - 61), no);
  EXPECT_EQ(With("iat", kIat + 61), no);
  EXPECT_EQ(With("iat", "now"), no);
  EXPECT_EQ(With("iat", 1e300), no);
  EXPECT_EQ(With("iat", -1), no);
  EXPECT_EQ(With("jti", ""), no);
  EXPECT_EQ(With("jti", std::string(256, 'j')), no);
  EXPECT_EQ(With("jti", nullptr), no);
  EXPECT_EQ(With("ath", Base64UrlEncode(access::DigestToken("other"))), no);
  EXPECT_EQ(With("ath", nullptr), no);
}

TEST_F(DpopTest, HostileHeadersAreRefused) {
  const std::string no = "token-proof-invalid";
  EXPECT_EQ(WithHeader("typ", "at+jwt"), no);
  EXPECT_EQ(WithHeader("typ", "JWT"), no);
  EXPECT_EQ(WithHeader("alg", "none"), no);
  EXPECT_EQ(WithHeader("alg", "HS256"), no);
  EXPECT_EQ(WithHeader("alg", json::array({"ES256"})), no);
  EXPECT_EQ(WithHeader("crit", json::array({"b64"})), no);
  EXPECT_EQ(WithHeader("jku", "https://evil/keys"), no);
  EXPECT_EQ(WithHeader("x5c", json::array({"AAAA"})), no);
  EXPECT_EQ(WithHeader("jwk", nullptr), no);
  EXPECT_EQ(WithHeader("jwk", "text"), no);
  EXPECT_EQ(WithHeader("jwk", {{"kty", "oct"}, {"k", "c2VjcmV0"}}), no);
  json with_private = json::parse(signer_.PublicJwk());
  with_private["d"] = "AAAA";
  EXPECT_EQ(WithHeader("jwk", with_private), no);
  const Signer other = *Signer::Generate(Alg::es256, "k2");
  EXPECT_EQ(WithHeader("jwk", json::parse(other.PublicJwk())), no);
  EXPECT_EQ(Code(std::string(9000, 'a')), no);
  EXPECT_EQ(Code(""), no);
  EXPECT_EQ(Code("a.b.c"), no);
}

TEST_F(DpopTest, EveryAlgorithmOfIssuersIsUnderstood) {
  for (const Alg alg : {Alg::rs256, Alg::ps256, Alg::es256, Alg::es384, Alg::eddsa}) {
    signer_ = *Signer::Generate(alg, "k");
    EXPECT_EQ(Code(Make(Header(signer_), Claims())), "ok") << AlgName(alg);
  }
}

TEST_F(DpopTest, AProofIsGoodOnce) {
  UsedProofs used;
  const std::string text = Make(Header(signer_), Claims());
  const auto proof =
      ReadProof(text, {.method = "POST", .url = kUrl, .token = "token"}, clock_.WallNow());
  ASSERT_TRUE(proof);
  EXPECT_TRUE(used.Take(*proof, clock_.WallNow()));
  EXPECT_EQ(used.Take(*proof, clock_.WallNow()).error().code, Errc::token_proof_invalid);
  clock_.Advance(seconds(60));
  EXPECT_FALSE(used.Take(*proof, clock_.WallNow()));
  clock_.Advance(seconds(1));  // forgotten, and too old by its own iat
  EXPECT_TRUE(used.Take(*proof, clock_.WallNow()));
  EXPECT_EQ(Code(text), "token-proof-invalid");
}

TEST_F(DpopTest, OneHolderCannotFillTheMemoryOfUsedProofs) {
  UsedProofs used;
  Proof proof{.key = "greedy", .id = {}, .issued_at = clock_.WallNow()};
  size_t taken = 0;
  for (size_t i = 0; i < UsedProofs::kMostPerKey + 10; ++i) {
    proof.id = access::DigestToken("g" + std::to_string(i));
    taken += used.Take(proof, clock_.WallNow()).has_value();
  }
  EXPECT_LE(taken, UsedProofs::kMostPerKey);
  // Somebody else's are taken, whichever part of the memory they fall into.
  size_t others = 0;
  for (int i = 0; i < 64; ++i) {
    proof.key = "modest" + std::to_string(i);
    proof.id = access::DigestToken(proof.key);
    others += used.Take(proof, clock_.WallNow()).has_value();
  }
  EXPECT_EQ(others, 64u);
}

/// The verifier with tokens that are bound to a key.
class BoundTest : public DpopTest {
 protected:
  void SetUp() override {
    idp_.ServeKeys({issuer_.PublicJwk()});
    Make({});
  }
  void Make(Dpop dpop) {
    ProviderConfig corp = test::Corp();
    corp.dpop = dpop;
    auto made =
        TokenVerifier::Create({.providers = {corp}, .agents = {}}, idp_.fetch(), clock_, {});
    ASSERT_TRUE(made);
    verifier_ = std::move(*made);
    verifier_->FetchDue();
  }
  using DpopTest::Make;
  std::string Token(const json& cnf) {
    json claims = test::Claims();
    if (!cnf.is_null()) claims["cnf"] = cnf;
    return *issuer_.Sign(claims.dump());
  }
  std::string Thumbprint(const Signer& signer) {
    const std::string text = signer.PublicJwk();
    const auto document = sallyport::json::Document::Parse(text);
    return ImportJwk(document->root(), {})->thumbprint;
  }
  std::string Admit(const std::string& scheme, const std::string& token, const std::string& proof,
                    size_t proofs = 1, const std::string& certificate = "") {
    const std::string field = scheme + " " + token;
    ClientCertificate shown_certificate;
    shown_certificate.thumbprint = certificate;
    Shown shown{.authorization = field,
                .proofs = proofs,
                .proof = proof,
                .method = "POST",
                .url = kUrl,
                .certificate = certificate.empty() ? nullptr : &shown_certificate};
    if (verifier_->Known(shown, "")) return "known";
    boost::asio::io_context io(1);
    std::string out;
    boost::asio::co_spawn(io,
                          verifier_->Admit(shown, std::chrono::steady_clock::now(), "",
                                           []() -> Result<> { return {}; }),
                          [&](const std::exception_ptr&, Result<VerifiedPtr> r) {
                            out = r ? "ok" : std::string(ReasonCode(r.error().code));
                          });
    io.run();
    return out;
  }

  Signer issuer_ = *Signer::Generate(Alg::es256, "i1");
  test::FakeIdp idp_{"https://idp"};
  std::unique_ptr<TokenVerifier> verifier_;
};

TEST_F(BoundTest, ABoundTokenIsGoodWithAProofByItsKeyOnly) {
  const std::string token = Token({{"jkt", Thumbprint(signer_)}});
  const std::string proof = Make(Header(signer_), Claims(token));
  EXPECT_EQ(Admit("Bearer", token, ""), "token-type-wrong");
  EXPECT_EQ(Admit("Bearer", token, proof), "token-type-wrong");
  EXPECT_EQ(Admit("DPoP", token, ""), "token-proof-invalid");
  EXPECT_EQ(Admit("DPoP", token, proof, 2), "token-proof-invalid");
  EXPECT_EQ(Admit("DPoP", token, proof), "ok");
  EXPECT_EQ(Admit("DPoP", token, proof), "token-proof-invalid");
  EXPECT_EQ(Admit("Bearer", token, ""), "token-type-wrong");  // also when the token is known
  EXPECT_EQ(Admit("dpop", token, Make(Header(signer_), Claims(token))), "ok");
  signer_ = *Signer::Generate(Alg::es256, "k2");
  EXPECT_EQ(Admit("DPoP", token, Make(Header(signer_), Claims(token))), "token-proof-invalid");
}

TEST_F(BoundTest, AProofOfARefusedTokenIsNotUsedUp) {
  const std::string token = Token({{"jkt", Thumbprint(signer_)}});
  clock_.Advance(seconds(4000));
  json claims = Claims(token);
  claims["iat"] = kIat + 4000;
  EXPECT_EQ(Admit("DPoP", token, Make(Header(signer_), claims)), "token-expired");
}

TEST_F(BoundTest, AProofDoesNotBindAToken) {
  const std::string token = Token(nullptr);
  EXPECT_EQ(Admit("Bearer", token, ""), "ok");
  EXPECT_EQ(Admit("DPoP", token, Make(Header(signer_), Claims(token))), "token-proof-invalid");
  EXPECT_EQ(Admit("Basic", token, ""), "token-malformed");
}

TEST_F(BoundTest, AProviderCanDemandProofs) {
  Make(Dpop::required);
  EXPECT_EQ(Admit("Bearer", Token(nullptr), ""), "token-proof-invalid");
  const std::string token = Token({{"jkt", Thumbprint(signer_)}});
  EXPECT_EQ(Admit("DPoP", token, Make(Header(signer_), Claims(token))), "ok");
}

TEST_F(BoundTest, ACertificateBindsAToken) {
  const std::string certificate(43, 'c'), other(43, 'd');
  const std::string token = Token({{"x5t#S256", certificate}});
  EXPECT_EQ(Admit("Bearer", token, ""), "token-type-wrong");
  EXPECT_EQ(Admit("Bearer", token, "", 0, other), "token-proof-invalid");
  EXPECT_EQ(Admit("Bearer", token, "", 0, certificate), "known");  // the token was judged before
  EXPECT_EQ(Admit("Bearer", token, ""), "token-type-wrong");
  // Of a token that is bound to nothing the certificate says nothing.
  EXPECT_EQ(Admit("Bearer", Token(nullptr), "", 0, certificate), "ok");
}

TEST_F(BoundTest, ABindingThatIsNotUnderstoodIsNotLeftOut) {
  const std::string key = Thumbprint(signer_);
  for (const json& cnf : {json::object(), json{{"kid", "k"}}, json{{"jkt", "short"}},
                          json{{"jkt", key}, {"x5t#S256", key}}, json{{"jkt", 7}}, json("text")}) {
    EXPECT_EQ(Admit("Bearer", Token(cnf), ""), "token-type-wrong") << cnf;
  }
}

}  // namespace
}  // namespace sallyport::identity
