#include "identity/verifier.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>
#include <thread>

#include "identity/signer.h"
#include "identity/test_idp.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using test::kIat;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::map<std::string, std::string> Tokens(const std::string& name) {
  return json::parse(test::ReadData("jose/" + name)).get<std::map<std::string, std::string>>();
}

class VerifierTest : public testing::Test {
 protected:
  void SetUp() override { idp_.ServeKeys({signer_.PublicJwk()}); }

  TokenVerifier& Verifier() {
    if (!verifier_) {
      auto made = TokenVerifier::Create(config_, idp_.fetch(), clock_, options_);
      EXPECT_TRUE(made) << made.error().detail;
      verifier_ = std::move(*made);
      verifier_->FetchDue();
    }
    return *verifier_;
  }
  std::string Sign(const json& claims, const std::string& typ = "at+jwt") {
    return *signer_.Sign(claims.dump(), typ);
  }
  std::string Code(const std::string& token) {
    auto verdict = Verifier().Verify(token);
    return std::string(verdict ? "ok" : ReasonCode(verdict.error().code));
  }
  op::Principal Who(const json& claims) {
    auto verdict = Verifier().Verify(Sign(claims));
    EXPECT_TRUE(verdict) << verdict.error().detail;
    return verdict ? (*verdict)->principal : op::Principal();
  }
  static json With(const std::string& name, json value) {
    json c = test::Claims();
    c[name] = std::move(value);
    return c;
  }

  Signer signer_ = *Signer::Generate(Alg::es256, "k1");
  test::FakeClock clock_;
  test::FakeIdp idp_{"https://idp"};
  Config config_{.providers = {test::Corp()}, .agents = {}};
  TokenVerifier::Options options_;
  std::unique_ptr<TokenVerifier> verifier_;
};

TEST_F(VerifierTest, VectorsThroughTheWholeVerifier) {
  idp_.Serve("/jwks", test::ReadData("jose/jwks.json"));
  for (const auto& [name, token] : Tokens("accepted.json")) {
    EXPECT_EQ(Code(token), "ok") << name;
    EXPECT_EQ(Code(token), "ok") << name << " from the cache";
  }
  EXPECT_EQ(Verifier().cached(), 6u);
  for (const auto& [name, token] : Tokens("refused.json")) {
    auto verdict = Verifier().Verify(token);
    ASSERT_FALSE(verdict) << name;
    for (size_t i = 0; i + 8 <= token.size(); i += 4) {
      EXPECT_THAT(verdict.error().detail, Not(HasSubstr(token.substr(i, 8)))) << name;
    }
  }
  EXPECT_EQ(Verifier().cached(), 6u);
}

TEST_F(VerifierTest, NothingInATokenSelectsAUrl) {
  idp_.Serve("/jwks", test::ReadData("jose/jwks.json"));
  Verifier();
  size_t before = idp_.urls.size();
  for (const auto& [name, token] : Tokens("refused.json")) EXPECT_FALSE(Verifier().Verify(token));
  EXPECT_FALSE(Verifier().Verify(Sign(With("iss", "https://127.0.0.1:9"))));
  EXPECT_EQ(idp_.urls.size(), before);
}

TEST_F(VerifierTest, PrincipalOfAPerson) {
  auto who = Who(test::Claims());
  EXPECT_EQ(who.issuer, "https://idp");
  EXPECT_EQ(who.subject, "alice");
  EXPECT_EQ(who.name, "alice@example.com");
  EXPECT_EQ(who.provider, "corp");
  EXPECT_EQ(who.client_id, "desk");
  EXPECT_EQ(who.token_class, "access");
  EXPECT_EQ(who.expires_at, (kIat + 3600) * test::kSecond);
  EXPECT_THAT(who.groups, ElementsAre("support"));
  EXPECT_TRUE(who.groups_complete);
  EXPECT_TRUE(who.agent.empty());
}

TEST_F(VerifierTest, TheNameIsOnlyDisplayAndNeverTheIdentity) {
  auto mallory = With("sub", "mallory");  // nOAuth: the same mutable e-mail, another subject
  auto a = Who(test::Claims()), b = Who(mallory);
  EXPECT_EQ(a.name, b.name);
  EXPECT_NE(a.subject, b.subject);
  EXPECT_EQ(Who(With("email", "x\ny")).name, "alice");
  EXPECT_EQ(Who(With("email", 7)).name, "alice");
  json c = With("email", nullptr);
  c["preferred_username"] = "al";
  EXPECT_EQ(Who(c).name, "al");
}

TEST_F(VerifierTest, IncompleteGroupsAreSaidSo) {
  json entra = With("_claim_names", {{"groups", "src1"}});
  entra.erase("groups");
  EXPECT_FALSE(Who(entra).groups_complete);
  json okta = With("groups", json::array());
  for (int i = 0; i < 100; ++i) okta["groups"].push_back("g" + std::to_string(i));
  auto verdict = Verifier().Verify(Sign(okta));
  ASSERT_TRUE(verdict);
  EXPECT_FALSE((*verdict)->principal.groups_complete);
  EXPECT_THAT((*verdict)->groups_note, HasSubstr("100"));
  json none = test::Claims();
  none.erase("groups");
  EXPECT_TRUE(Who(none).groups_complete);
}

TEST_F(VerifierTest, AgentsByClientSubjectAndClaim) {
  config_.agents = {
      {.name = "refunds", .owner = "group:pay", .match = {.provider = "corp", .client_id = "bot"}},
      {.name = "nightly", .owner = "group:ops", .match = {.provider = "corp", .subject = "job-7"}},
      {.name = "twice", .owner = "group:ops", .match = {.provider = "corp", .subject = "both"}},
      {.name = "claimed",
       .owner = "group:ops",
       .match = {.provider = "corp", .claims = {{"dept.id", "42"}, {"hw", "true"}}}}};
  json bot = With("client_id", "bot");
  bot["sub"] = "bot";
  EXPECT_EQ(Who(bot).agent, "refunds");
  EXPECT_EQ(Who(bot).owner, "group:pay");
  EXPECT_EQ(Who(With("sub", "job-7")).agent, "nightly");
  EXPECT_EQ(Who(test::Claims()).agent, "");
  json claimed = With("dept", {{"id", 42}});
  EXPECT_EQ(Who(claimed).agent, "");
  claimed["hw"] = true;
  EXPECT_EQ(Who(claimed).agent, "claimed");
  json both = With("sub", "both");
  both["client_id"] = "bot";
  EXPECT_EQ(Code(Sign(both)), "token-claims-invalid");
  // A configured agent's client may hold a token for several audiences.
  bot["aud"] = {"sallyport", "account"};
  EXPECT_EQ(Who(bot).agent, "refunds");
  EXPECT_EQ(Code(Sign(With("aud", {"sallyport", "account"}))), "token-audience-wrong");
}

TEST_F(VerifierTest, ATokenForOneResourceIsNotGoodAtAnother) {
  config_.providers[0].resource_prefix = "https://gate/mcp/";
  std::string payments = Sign(With("aud", "https://gate/mcp/payments"));
  for (int i = 0; i < 2; ++i) {  // the second time from the cache
    EXPECT_TRUE(Verifier().Verify(payments, nullptr, "https://gate/mcp/payments"));
    for (auto other :
         {"https://gate/mcp/orders", "https://gate/mcp/payments2", "https://gate/mcp/", ""}) {
      auto verdict = Verifier().Verify(payments, nullptr, other);
      ASSERT_FALSE(verdict) << other;
      EXPECT_EQ(verdict.error().code, Errc::token_audience_wrong);
    }
  }
  EXPECT_TRUE(Verifier().Verify(Sign(test::Claims()), nullptr, "https://gate/mcp/orders"));
  EXPECT_EQ(Code(Sign(With("aud", "https://gate/mcpx"))), "token-audience-wrong");
  EXPECT_EQ(Code(Sign(With("aud", "https://gate.evil/mcp/payments"))), "token-audience-wrong");
  config_.providers[0].resource_prefix = "";
  verifier_.reset();
  EXPECT_FALSE(Verifier().Verify(payments, nullptr, "https://gate/mcp/payments"));
}

TEST_F(VerifierTest, CiTokensSpeakOnlyForAConfiguredAgent) {
  config_.providers[0].token_class = TokenClass::ci_workload;
  config_.agents = {{.name = "deploy",
                     .owner = "group:ops",
                     .match = {.provider = "corp", .claims = {{"repository_id", "42"}}}}};
  json ci = With("repository_id", "42");
  EXPECT_EQ(Code(Sign(ci, "JWT")), "ok");
  ci["repository_id"] = "43";
  EXPECT_EQ(Code(Sign(ci, "JWT")), "token-type-wrong");
}

TEST_F(VerifierTest, ClassesThatTheEndpointDoesNotServe) {
  for (auto c : {TokenClass::id_token, TokenClass::logout_token, TokenClass::secevent,
                 TokenClass::dpop_proof}) {
    config_.providers[0].token_class = c;
    verifier_.reset();
    EXPECT_EQ(Code(Sign(test::Claims())), "token-type-wrong") << TokenClassName(c);
  }
  config_.providers[0].token_class = TokenClass::ci_workload;
  options_.accept = {TokenClass::access};
  verifier_.reset();
  EXPECT_EQ(Code(Sign(test::Claims())), "token-type-wrong");
}

TEST_F(VerifierTest, IssuersWithCollidingKidsAreNotMixedUp) {
  Signer other = *Signer::Generate(Alg::es256, "k1");
  test::FakeIdp idp_b("https://b");
  idp_b.ServeKeys({other.PublicJwk()});
  auto b = test::Corp();
  b.name = "b";
  b.issuer = "https://b";
  config_.providers.push_back(b);
  auto fetch_a = idp_.fetch(), fetch_b = idp_b.fetch();
  auto both = [&](const FetchRequest& r) {
    return r.url.starts_with("https://b/") ? fetch_b(r) : fetch_a(r);
  };
  verifier_ = *TokenVerifier::Create(config_, both, clock_, options_);
  verifier_->FetchDue();
  EXPECT_EQ(Code(Sign(test::Claims())), "ok");
  EXPECT_EQ(Code(*other.Sign(With("iss", "https://b").dump())), "ok");
  EXPECT_EQ(Code(*other.Sign(test::Claims().dump())), "token-signature-invalid");
  EXPECT_EQ(Code(Sign(With("iss", "https://b"))), "token-signature-invalid");
  EXPECT_EQ(Code(Sign(With("iss", "https://c"))), "token-issuer-unknown");
}

TEST_F(VerifierTest, AnRsaKeyWithoutAlgIsNotAnHmacKeyNorAPssKey) {
  Signer rsa = *Signer::Generate(Alg::rs256, "r");
  auto jwk = json::parse(rsa.PublicJwk());
  jwk.erase("alg");
  idp_.ServeKeys({jwk.dump()});
  EXPECT_EQ(Code(*rsa.Sign(test::Claims().dump())), "ok");
  Signer pss = *Signer::FromPem(rsa.PrivatePem()->Reveal(), Alg::ps256, "r");
  EXPECT_EQ(Code(*pss.Sign(test::Claims().dump())), "alg-refused");
  EXPECT_EQ(Code(*rsa.SignWithHeader(R"({"alg":"HS256","kid":"r"})", test::Claims().dump())),
            "alg-refused");
}

TEST_F(VerifierTest, TheCacheEndsWithTheToken) {
  std::string token = Sign(test::Claims());
  EXPECT_EQ(Code(token), "ok");
  EXPECT_EQ(Verifier().cached(), 1u);
  clock_.SetWall(kIat + 3600 + 59);
  EXPECT_EQ(Code(token), "ok");
  clock_.SetWall(kIat + 3600 + 60);
  EXPECT_EQ(Code(token), "token-expired");
  EXPECT_EQ(Verifier().cached(), 0u);
  clock_.SetWall(kIat - 120);
  EXPECT_EQ(Code(token), "token-not-yet-valid");
}

TEST_F(VerifierTest, TheCacheEndsWithTheKey) {
  std::string token = Sign(test::Claims());
  EXPECT_EQ(Code(token), "ok");
  clock_.Advance(minutes(15));
  Verifier().FetchDue();  // the same key again
  EXPECT_EQ(Code(token), "ok");
  EXPECT_EQ(Verifier().cached(), 1u);
  // Another key under the same kid: the old signature is worth nothing now.
  idp_.ServeKeys({Signer::Generate(Alg::es256, "k1")->PublicJwk()});
  clock_.Advance(minutes(15));
  Verifier().FetchDue();
  EXPECT_EQ(Code(token), "token-signature-invalid");
  idp_.ServeKeys({});
  clock_.Advance(minutes(15));
  Verifier().FetchDue();
  EXPECT_EQ(Code(token), "token-key-unknown");
}

TEST_F(VerifierTest, TheCacheEndsWhenTheIssuerIsGoneTooLong) {
  std::string token = Sign(With("exp", kIat + 6 * 3600));
  EXPECT_EQ(Code(token), "ok");
  idp_.down = true;
  clock_.Advance(hours(1));
  EXPECT_EQ(Code(token), "ok");
  clock_.Advance(hours(4));
  EXPECT_EQ(Code(token), "identity-provider-down");
}

TEST_F(VerifierTest, TheCacheIsBounded) {
  options_.cache_entries = 64;
  for (int i = 0; i < 300; ++i) EXPECT_EQ(Code(Sign(With("jti", std::to_string(i)))), "ok");
  EXPECT_LE(Verifier().cached(), 64u);
  EXPECT_GE(Verifier().cached(), 32u);
}

TEST_F(VerifierTest, FlushForgetsKeysAndTokens) {
  std::string token = Sign(test::Claims());
  EXPECT_EQ(Code(token), "ok");
  Verifier().FlushKeys();
  EXPECT_EQ(Verifier().cached(), 0u);
  EXPECT_EQ(Code(token), "identity-provider-down");
  Verifier().FetchDue();
  EXPECT_EQ(Code(token), "ok");
}

TEST_F(VerifierTest, AStormOfUnknownKidsDoesNotTouchGoodTokens) {
  Verifier();
  clock_.Advance(seconds(30));
  std::string good = Sign(test::Claims());
  EXPECT_EQ(Code(good), "ok");
  for (int i = 0; i < 2000; ++i) {
    std::string header = R"({"alg":"ES256","kid":"random-)" + std::to_string(i) + "\"}";
    std::string token = *signer_.SignWithHeader(header, test::Claims().dump());
    bool wants = false;
    auto verdict = Verifier().Verify(token, &wants);
    ASSERT_FALSE(verdict);
    EXPECT_EQ(verdict.error().code, Errc::token_key_unknown);
    if (wants) Verifier().RefreshThen(token, [] {});
    if (i % 100 == 0) Verifier().FetchDue();
    ASSERT_EQ(Code(good), "ok");
  }
  EXPECT_EQ(idp_.key_fetches, 2) << "one at start, one for all of them";
}

TEST_F(VerifierTest, ClaimsThatCouldNeverPassAskForNothing) {
  Verifier();
  clock_.Advance(seconds(30));
  bool wants = true;
  std::string expired =
      *signer_.SignWithHeader(R"({"alg":"ES256","kid":"new"})", With("exp", kIat + 1 - 100).dump());
  EXPECT_FALSE(Verifier().Verify(expired, &wants));
  EXPECT_FALSE(wants);
}

TEST_F(VerifierTest, AuthenticateWaitsForTheKeyThatWasJustRotatedIn) {
  idp_.ServeKeys({});
  auto& verifier = Verifier();
  clock_.Advance(seconds(30));
  idp_.ServeKeys({signer_.PublicJwk()});
  verifier.Start();
  boost::asio::io_context io{1};
  Result<VerifiedPtr> got = Fail(Errc::internal);
  auto begin = std::chrono::steady_clock::now();
  auto deadline = begin + seconds(30);
  boost::asio::co_spawn(io, verifier.Authenticate(Sign(test::Claims()), deadline),
                        [&](std::exception_ptr e, Result<VerifiedPtr> r) {
                          EXPECT_FALSE(e);
                          got = std::move(r);
                        });
  io.run();
  ASSERT_TRUE(got) << got.error().detail;
  EXPECT_EQ((*got)->principal.subject, "alice");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(10)) << "it waited for its deadline";
  verifier.Stop();
}

TEST_F(VerifierTest, AuthenticateGivesUpAtItsDeadline) {
  std::atomic<bool> leave{false};
  auto& verifier = Verifier();
  clock_.Advance(seconds(30));
  idp_.on_fetch = [&](const FetchRequest&) {
    while (!leave) std::this_thread::sleep_for(std::chrono::milliseconds(1));
  };
  verifier.Start();
  std::string token =
      *signer_.SignWithHeader(R"({"alg":"ES256","kid":"new"})", test::Claims().dump());
  boost::asio::io_context io{1};
  Result<VerifiedPtr> got = Fail(Errc::internal);
  auto begin = std::chrono::steady_clock::now();
  boost::asio::co_spawn(io, verifier.Authenticate(token, begin + std::chrono::milliseconds(50)),
                        [&](std::exception_ptr, Result<VerifiedPtr> r) { got = std::move(r); });
  io.run();
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, Errc::token_key_unknown);
  leave = true;
  verifier.Stop();
}

TEST_F(VerifierTest, ManyThreads) {
  auto& verifier = Verifier();
  std::vector<std::string> tokens;
  for (int i = 0; i < 8; ++i) tokens.push_back(Sign(With("jti", std::to_string(i))));
  std::atomic<int> bad{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i) bad += !verifier.Verify(tokens[size_t(i) % tokens.size()]);
    });
  }
  for (int i = 0; i < 20; ++i) {
    clock_.Advance(seconds(1));
    verifier.FetchDue();
    EXPECT_EQ(verifier.Status().size(), 1u);
  }
  for (auto& t : threads) t.join();
  EXPECT_EQ(bad, 0);
}

TEST(IdentityConfig, SaysWhatIsWrong) {
  auto detail = [](auto change) {
    Config config{.providers = {test::Corp()}, .agents = {}};
    change(config);
    auto checked = CheckConfig(config);
    if (!checked) EXPECT_EQ(checked.error().code, Errc::config_invalid);
    return checked ? std::string() : checked.error().detail;
  };
  EXPECT_EQ(detail([](Config&) {}), "");
  EXPECT_THAT(detail([](Config& c) { c.providers[0].issuer = "http://idp"; }), HasSubstr("https"));
  EXPECT_THAT(detail([](Config& c) { c.providers[0].issuer = "http://127.0.0.1:1"; }),
              HasSubstr("https"));
  EXPECT_EQ(detail([](Config& c) {
              c.providers[0].issuer = "http://127.0.0.1:1";
              c.providers[0].allow_loopback_http = true;
            }),
            "");
  EXPECT_THAT(detail([](Config& c) {
                c.providers[0].issuer = "http://127.0.0.1.evil";
                c.providers[0].allow_loopback_http = true;
              }),
              HasSubstr("https"));
  EXPECT_THAT(detail([](Config& c) { c.providers[0].issuer = "https://u@idp"; }),
              HasSubstr("user name"));
  for (auto issuer : {"https://u@idp", "https://idp/?a", "https://idp/#a", "https://",
                      "https://id p", "ftp://idp", "idp", "https://idp:99999999",
                      "https://idp:", "https://[::1", "https://idp\\evil"}) {
    EXPECT_NE(detail([&](Config& c) { c.providers[0].issuer = issuer; }), "") << issuer;
  }
  EXPECT_THAT(detail([](Config& c) { c.providers[0].algorithms = {"HS256"}; }), HasSubstr("HS256"));
  EXPECT_THAT(detail([](Config& c) { c.providers[0].audiences.clear(); }), HasSubstr("audience"));
  EXPECT_THAT(detail([](Config& c) { c.providers[0].skew = seconds(301); }), HasSubstr("skew"));
  EXPECT_THAT(detail([](Config& c) { c.providers.push_back(c.providers[0]); }), HasSubstr("twice"));
  EXPECT_THAT(detail([](Config& c) { c.agents = {{.name = "a", .owner = "group:x"}}; }),
              HasSubstr("provider"));
  EXPECT_THAT(detail([](Config& c) {
                c.agents = {{.name = "a", .owner = "group:x", .match = {.provider = "corp"}}};
              }),
              HasSubstr("client_id"));
  EXPECT_THAT(detail([](Config& c) {
                c.agents = {{.name = "a", .match = {.provider = "corp", .subject = "s"}}};
              }),
              HasSubstr("owner"));
}

}  // namespace
}  // namespace sallyport::identity
