#include "identity/jws.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <iterator>
#include <map>
#include <string>

#include "base/bytes.h"
#include "identity/signer.h"

namespace sallyport::identity {
namespace {

using testing::HasSubstr;
using testing::Not;

std::string ReadData(const std::string& name) {
  std::ifstream in(std::string(SALLYPORT_TESTDATA) + "/jose/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::map<std::string, std::string> ReadTokens(const std::string& name) {
  std::string text = ReadData(name);
  auto doc = json::Document::Parse(text);
  EXPECT_TRUE(doc) << name;
  std::map<std::string, std::string> out;
  for (auto v = doc->root().first(); v; v = v.next()) out.emplace(v.key(), v.string().value_or(""));
  return out;
}

Result<> Judge(std::string_view token, const KeySet& keys) {
  SALLYPORT_TRY(Jws jws, ParseJws(token));
  const Key* key = keys.Find(jws.kid);
  if (key == nullptr) return Fail(Errc::token_key_unknown);
  return VerifySignature(jws, *key);
}

Result<Key> Import(const std::string& jwk, const ImportRules& rules = {}) {
  auto doc = json::Document::Parse(jwk);
  if (!doc) return std::unexpected(doc.error());
  return ImportJwk(doc->root(), rules);
}

TEST(JwsVectors, SixGoodTokensAreAccepted) {
  auto keys = KeySet::Import(ReadData("jwks.json"), {});
  ASSERT_TRUE(keys);
  EXPECT_EQ(keys->keys().size(), 6u);
  auto tokens = ReadTokens("accepted.json");
  EXPECT_EQ(tokens.size(), 6u);
  for (const auto& [name, token] : tokens) {
    auto verdict = Judge(token, *keys);
    EXPECT_TRUE(verdict) << name << ": " << ReasonCode(verdict.error().code);
  }
}

TEST(JwsVectors, EveryHostileTokenIsRefusedForItsReason) {
  const std::map<std::string, Errc> expected{
      {"None", Errc::token_alg_refused},
      {"algarr", Errc::token_alg_refused},
      {"crit", Errc::token_malformed},
      {"derSig", Errc::token_signature_invalid},
      {"dup", Errc::token_malformed},
      {"fourseg", Errc::token_malformed},
      {"hs_HS256", Errc::token_alg_refused},
      {"hs_HS512", Errc::token_alg_refused},
      {"hs_hs256", Errc::token_alg_refused},
      {"hs_with_rs2", Errc::token_alg_refused},
      {"hsconf", Errc::token_alg_refused},
      {"hsempty", Errc::token_alg_refused},
      {"jku", Errc::token_malformed},
      {"jwk_kid_unknown", Errc::token_malformed},
      {"jwk_nokid", Errc::token_malformed},
      {"jwkhdr", Errc::token_malformed},
      {"none", Errc::token_alg_refused},
      {"none2", Errc::token_alg_refused},
      {"none_kid_", Errc::token_alg_refused},
      {"none_kid_NONE", Errc::token_alg_refused},
      {"none_kid_nOnE", Errc::token_alg_refused},
      {"none_kid_none", Errc::token_alg_refused},
      {"pad", Errc::token_malformed},
      {"rs_as_ps", Errc::token_alg_refused},
      {"rs_typATJWT", Errc::token_key_unknown},
      {"rs_typJWT", Errc::token_key_unknown},
      {"sp", Errc::token_malformed},
      {"strip", Errc::token_malformed},
      {"zero_es", Errc::token_signature_invalid},
  };
  auto keys = KeySet::Import(ReadData("jwks.json"), {});
  ASSERT_TRUE(keys);
  auto tokens = ReadTokens("refused.json");
  EXPECT_EQ(tokens.size(), 29u);
  for (const auto& [name, token] : tokens) {
    auto verdict = Judge(token, *keys);
    ASSERT_FALSE(verdict) << name;
    ASSERT_TRUE(expected.contains(name)) << name;
    EXPECT_EQ(ReasonCode(verdict.error().code), ReasonCode(expected.at(name))) << name;
  }
}

TEST(JwsVectors, NoDetailHoldsPartsOfTheToken) {
  auto keys = KeySet::Import(ReadData("jwks.json"), {});
  ASSERT_TRUE(keys);
  for (const auto& [name, token] : ReadTokens("refused.json")) {
    auto verdict = Judge(token, *keys);
    for (size_t i = 0; i + 8 <= token.size(); i += 8) {
      EXPECT_THAT(verdict.error().detail, Not(HasSubstr(token.substr(i, 8)))) << name;
    }
  }
}

TEST(JwsVectors, EveryTruncationAndEveryFlippedCharacterIsRefused) {
  auto keys = KeySet::Import(ReadData("jwks.json"), {});
  ASSERT_TRUE(keys);
  for (const auto& [name, token] : ReadTokens("accepted.json")) {
    if (name == "ES384" || name == "Ed25519") continue;  // slow, and the same code as the others
    for (size_t i = 0; i < token.size(); i += 3) {
      EXPECT_FALSE(Judge(std::string_view(token).substr(0, i), *keys)) << name << " cut at " << i;
      std::string flipped = token;
      flipped[i] = flipped[i] == 'A' ? 'B' : 'A';
      EXPECT_FALSE(Judge(flipped, *keys)) << name << " flipped at " << i;
    }
  }
}

TEST(JwsParse, HeaderParametersAreTyped) {
  auto signer = Signer::Generate(Alg::es256, "k");
  ASSERT_TRUE(signer);
  auto code = [&](const std::string& header) {
    auto jws = ParseJws(*signer->SignWithHeader(header, "{}"));
    return jws ? "accepted" : ReasonCode(jws.error().code);
  };
  EXPECT_EQ(code(R"({"alg":"ES256"})"), "accepted");
  EXPECT_EQ(code(R"({"alg":"ES256","kid":7})"), "token-malformed");
  EXPECT_EQ(code(R"({"alg":"ES256","kid":["k"]})"), "token-malformed");
  EXPECT_EQ(code(R"({"alg":"ES256","kid":")" + std::string(257, 'k') + "\"}"), "token-malformed");
  EXPECT_EQ(code(R"({"alg":"ES256","typ":{}})"), "token-malformed");
  EXPECT_EQ(code(R"({"alg":"ES256","x5c":[]})"), "token-malformed");
  EXPECT_EQ(code(R"({"alg":"ES256","b64":false})"), "token-malformed");
  EXPECT_EQ(code(R"({"alg":"ES256","\u0061lg":"none"})"), "token-malformed");
  EXPECT_EQ(code(R"({"alg":7})"), "alg-refused");
  EXPECT_EQ(code(R"({"alg":null})"), "alg-refused");
  EXPECT_EQ(code(R"({"alg":"RS1"})"), "alg-refused");
  EXPECT_EQ(code(R"({"alg":"ES256K"})"), "alg-refused");
  EXPECT_EQ(code(R"({"alg":"es256"})"), "alg-refused");
  EXPECT_EQ(code("{}"), "alg-refused");
  EXPECT_EQ(code(R"(["ES256"])"), "token-malformed");
  EXPECT_EQ(code(std::string(R"({"alg":"ES256","x":)") + std::string(5000, '[')),
            "token-malformed");
}

TEST(JwsParse, SizeAndShape) {
  EXPECT_EQ(ParseJws("").error().code, Errc::token_missing);
  EXPECT_EQ(ParseJws(std::string(kMaxTokenBytes + 1, 'a')).error().code, Errc::token_malformed);
  for (auto token : {".", "..", "a.b", "a.b.c", "...", "eyJ.e30.", "\xff.\xff.\xff", "a.b.c.d"}) {
    auto jws = ParseJws(token);
    ASSERT_FALSE(jws) << token;
    EXPECT_EQ(jws.error().code, Errc::token_malformed) << token;
  }
  auto signer = Signer::Generate(Alg::es256, "k");
  EXPECT_FALSE(ParseJws(*signer->Sign("[]")));
  EXPECT_FALSE(ParseJws(*signer->Sign(R"({"sub":"a","sub":"b"})")));
}

TEST(Signer, RoundTripsInEveryAlgorithmAndThroughPem) {
  for (Alg alg : {Alg::rs256, Alg::ps256, Alg::es256, Alg::es384, Alg::eddsa}) {
    auto signer = Signer::Generate(alg, "k1");
    ASSERT_TRUE(signer) << AlgName(alg);
    auto keys = KeySet::Import(Jwks({signer->PublicJwk()}), {});
    ASSERT_TRUE(keys);
    ASSERT_EQ(keys->keys().size(), 1u) << (keys->skipped().empty() ? "" : keys->skipped().front());
    EXPECT_TRUE(Judge(*signer->Sign(R"({"sub":"a"})"), *keys)) << AlgName(alg);

    auto pem = signer->PrivatePem();
    ASSERT_TRUE(pem);
    auto again = Signer::FromPem(pem->Reveal(), alg, "k1");
    ASSERT_TRUE(again);
    EXPECT_TRUE(Judge(*again->Sign(R"({"sub":"b"})"), *keys)) << AlgName(alg);
    Alg other = alg == Alg::eddsa ? Alg::es256 : Alg::eddsa;
    EXPECT_EQ(Signer::FromPem(pem->Reveal(), other, "k1").error().code, Errc::config_invalid);
  }
  EXPECT_FALSE(Signer::FromPem("-----BEGIN PRIVATE KEY-----\n", Alg::es256, "k"));
}

TEST(Jwk, ImportLimits) {
  auto ec = Signer::Generate(Alg::es256, "k")->PublicJwk();
  auto with = [&](std::string jwk, const std::string& from, const std::string& to) {
    jwk.replace(jwk.find(from), from.size(), to);
    return jwk;
  };
  EXPECT_TRUE(Import(ec));
  EXPECT_FALSE(Import(with(ec, "\"sig\"", "\"enc\"")));
  EXPECT_FALSE(Import(with(ec, "\"sig\"", "7")));
  EXPECT_FALSE(Import(with(ec, "\"ES256\"", "\"ES384\"")));
  EXPECT_FALSE(Import(with(ec, "\"ES256\"", "\"RS256\"")));
  EXPECT_FALSE(Import(with(ec, "\"ES256\"", "[\"ES256\"]")));
  EXPECT_FALSE(Import(with(ec, "\"kty\"", "\"d\":\"AAAA\",\"kty\"")));
  EXPECT_FALSE(Import(with(ec, "\"kty\"", "\"key_ops\":[\"sign\"],\"kty\"")));
  EXPECT_FALSE(Import(with(ec, "\"kty\"", "\"key_ops\":\"verify\",\"kty\"")));
  EXPECT_TRUE(Import(with(ec, "\"kty\"", "\"key_ops\":[\"verify\"],\"kty\"")));
  EXPECT_FALSE(Import(with(ec, "P-256", "P-384")));
  EXPECT_FALSE(Import(with(ec, "\"x\":\"", "\"x\":\"AAAA")));
  // A point that is not on the curve: x and y of two keys.
  auto other = Signer::Generate(Alg::es256, "k")->PublicJwk();
  auto y_of = [](const std::string& j) { return j.substr(j.find("\"y\":\"") + 5, 43); };
  auto off = Import(with(ec, y_of(ec), y_of(other)));
  ASSERT_FALSE(off);
  EXPECT_THAT(off.error().detail, testing::AnyOf(HasSubstr("curve"), HasSubstr("accept")));

  EXPECT_FALSE(Import(R"({"kty":"oct","k":"AAAA","kid":"rs"})"));
  EXPECT_FALSE(Import(R"({"kty":"oct","kid":"rs"})"));
  EXPECT_FALSE(Import(R"({"kty":"OKP","crv":"X25519","x":"AAAA"})"));
  EXPECT_FALSE(Import(R"({"kty":"OKP","crv":"Ed25519","x":"AAAA"})"));
  EXPECT_FALSE(Import(R"({"kty":["RSA"]})"));
  EXPECT_FALSE(Import(R"([])"));
  ImportRules only_eddsa{.algorithms = {Alg::eddsa}};
  EXPECT_FALSE(Import(ec, only_eddsa));
}

TEST(Jwk, RsaBoundsAndDefaultAlgorithm) {
  auto rsa = [](size_t bytes, std::string_view e, std::string_view extra = "") {
    std::vector<uint8_t> n(bytes, 0xff);
    return R"({"kty":"RSA","kid":"r","e":")" + std::string(e) + R"(","n":")" + Base64UrlEncode(n) +
           "\"" + std::string(extra) + "}";
  };
  EXPECT_TRUE(Import(rsa(256, "AQAB")));
  EXPECT_TRUE(Import(rsa(1024, "AQAB")));
  EXPECT_THAT(Import(rsa(128, "AQAB")).error().detail, HasSubstr("1024 bits"));
  EXPECT_FALSE(Import(rsa(255, "AQAB")));
  EXPECT_FALSE(Import(rsa(1025, "AQAB")));
  EXPECT_FALSE(Import(rsa(200'000, "AQAB")));
  EXPECT_FALSE(Import(rsa(256, "AQAA")));     // even
  EXPECT_FALSE(Import(rsa(256, "AQ")));       // 1
  EXPECT_FALSE(Import(rsa(256, "")));         // none
  EXPECT_FALSE(Import(rsa(256, "A______")));  // stray bits, and too wide
  EXPECT_FALSE(Import(rsa(256, "BwAAAAE")));  // 35 bits
  EXPECT_EQ(Import(rsa(256, "AQAB"))->alg, Alg::rs256);
  ImportRules pss{.rsa_default = Alg::ps256};
  EXPECT_EQ(Import(rsa(256, "AQAB"), pss)->alg, Alg::ps256);
  EXPECT_EQ(Import(rsa(256, "AQAB", R"(,"alg":"RS256")"), pss)->alg, Alg::rs256);
  EXPECT_FALSE(Import(rsa(256, "AQAB", R"(,"alg":"HS256")")));
  EXPECT_FALSE(Import(rsa(256, "AQAB", R"(,"alg":"ES256")")));
}

TEST(Jwk, PoisonedSets) {
  auto code = [](const std::string& text) {
    auto set = KeySet::Import(text, {});
    return set ? "accepted" : ReasonCode(set.error().code);
  };
  EXPECT_EQ(code(R"({"keys":[]})"), "accepted");
  EXPECT_EQ(code(R"({"keys":{}})"), "request-malformed");
  EXPECT_EQ(code(R"({})"), "request-malformed");
  EXPECT_EQ(code(R"([])"), "request-malformed");
  EXPECT_EQ(code("<html>"), "request-malformed");
  EXPECT_EQ(code(R"({"keys":[],"keys":[]})"), "request-duplicate-key");
  EXPECT_EQ(code(std::string(kMaxJwksBytes + 1, ' ')), "request-too-large");
  std::string many = R"({"keys":[{})";
  for (size_t i = 0; i < kMaxJwksKeys; ++i) many += ",{}";
  EXPECT_EQ(code(many + "]}"), "request-too-large");
}

TEST(Jwk, TwoKeysOfOneKidAreAmbiguous) {
  auto a = Signer::Generate(Alg::es256, "same")->PublicJwk();
  auto b = Signer::Generate(Alg::eddsa, "same")->PublicJwk();
  auto c = Signer::Generate(Alg::eddsa, "other")->PublicJwk();
  auto set = KeySet::Import(Jwks({a, b, c}), {});
  ASSERT_TRUE(set);
  EXPECT_EQ(set->Find("same"), nullptr);
  EXPECT_NE(set->Find("other"), nullptr);
  EXPECT_EQ(set->skipped().size(), 1u);
  auto twice = KeySet::Import(Jwks({a, a}), {});
  ASSERT_TRUE(twice);
  EXPECT_NE(twice->Find("same"), nullptr);
}

TEST(Jwk, NoKidMeansTheOnlyKey) {
  auto a = Signer::Generate(Alg::es256, "a")->PublicJwk();
  auto b = Signer::Generate(Alg::es256, "b")->PublicJwk();
  EXPECT_NE(KeySet::Import(Jwks({a}), {})->Find(""), nullptr);
  EXPECT_EQ(KeySet::Import(Jwks({a, b}), {})->Find(""), nullptr);
  EXPECT_EQ(KeySet::Import(Jwks({a}), {})->Find("b"), nullptr);
}

TEST(Jwk, ThumbprintIsThatOfRfc8037) {
  auto key =
      Import(R"({"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"})");
  ASSERT_TRUE(key);
  EXPECT_EQ(key->thumbprint, "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k");
}

}  // namespace
}  // namespace sallyport::identity
