#include "identity/inquiry.h"

#include <gtest/gtest.h>

#include "identity/signer.h"
#include "identity/test_idp.h"
#include "identity/verifier.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using test::kIat;

class InquiryTest : public testing::Test {
 protected:
  Result<std::string> said_ = std::string("good");
  int asked_ = 0;
  test::FakeClock clock_;
  Inquiry inquiry_{{.provider = "corp", .good_for = seconds(30), .refused = Errc::token_inactive},
                   [this](const std::string&, const std::stop_token&) {
                     ++asked_;
                     return said_;
                   },
                   clock_};
  int done_ = 0;

  void Ask(const std::string& token) {
    inquiry_.AskThen(token, [this] { ++done_; });
  }
  std::string Kept(const std::string& token) {
    const auto answer = inquiry_.Find(access::DigestToken(token));
    if (!answer) return "nothing";
    return answer->said ? *answer->said : std::string(ReasonCode(answer->said.error().code));
  }
};

TEST_F(InquiryTest, AllWhoAskShareOneQuestion) {
  for (int i = 0; i < 5; ++i) Ask("t");
  EXPECT_EQ(done_, 0);
  EXPECT_TRUE(inquiry_.RunDue());
  EXPECT_FALSE(inquiry_.RunDue());
  EXPECT_EQ(asked_, 1);
  EXPECT_EQ(done_, 5);
  EXPECT_EQ(Kept("t"), "good");
}

TEST_F(InquiryTest, AnswersAreForgottenInTheirTime) {
  Ask("t"), inquiry_.RunDue();
  clock_.Advance(seconds(29));
  EXPECT_EQ(Kept("t"), "good");
  clock_.Advance(seconds(1));
  EXPECT_EQ(Kept("t"), "nothing");
  said_ = Fail(Errc::token_inactive);
  Ask("t"), inquiry_.RunDue();
  clock_.Advance(seconds(4));
  EXPECT_EQ(Kept("t"), "token-inactive");
  clock_.Advance(seconds(1));
  EXPECT_EQ(Kept("t"), "nothing");
  said_ = Fail(Errc::identity_provider_down);
  Ask("t"), inquiry_.RunDue();
  EXPECT_EQ(Kept("t"), "identity-provider-down");
  clock_.Advance(seconds(1));
  EXPECT_EQ(Kept("t"), "nothing");
}

TEST_F(InquiryTest, AFloodOfInventedTokensLeavesThoseThatWereGoodAlone) {
  Ask("known"), inquiry_.RunDue();
  clock_.Advance(seconds(31));
  said_ = Fail(Errc::token_inactive);
  for (int i = 0; i < 10'000; ++i) {
    Ask("invented-" + std::to_string(i));
    inquiry_.RunDue();
  }
  EXPECT_LE(asked_, 1 + 2 * Inquiry::kBurst);
  EXPECT_EQ(inquiry_.WhyNot(), Errc::limit_exceeded);
  const int before = asked_;
  said_ = "good";
  Ask("known"), inquiry_.RunDue();
  EXPECT_EQ(asked_, before + 1);
  EXPECT_EQ(Kept("known"), "good");
}

TEST_F(InquiryTest, StoppingLetsNobodyWait) {
  Ask("t");
  inquiry_.Stop();
  EXPECT_EQ(done_, 1);
  Ask("u");
  EXPECT_EQ(done_, 2);
}

/// The verifier with a provider that is asked about opaque tokens.
class OpaqueTest : public testing::Test {
 protected:
  void SetUp() override {
    idp_.Serve("/.well-known/openid-configuration",
               R"({"issuer":"https://idp","jwks_uri":"https://idp/jwks",)"
               R"("introspection_endpoint":"https://idp/introspect"})");
    idp_.ServeKeys({signer_.PublicJwk()});
    Make(Corp());
  }
  static ProviderConfig Corp() {
    ProviderConfig corp = test::Corp();
    corp.introspection = {.client_id = "gate",
                          .client_secret = {secrets::Ref::Kind::env, "X"},
                          .endpoint = {},
                          .token_prefix = {}};
    return corp;
  }
  void Make(ProviderConfig corp) {
    auto made = TokenVerifier::Create(
        {.providers = {corp}, .agents = {}}, idp_.fetch(), clock_,
        {.resolve = [](const secrets::Ref&) -> Result<Secret> { return Secret("s3:cret"); }});
    ASSERT_TRUE(made) << made.error().detail;
    verifier_ = std::move(*made);
    verifier_->FetchDue();
  }
  std::string Code(const std::string& token, const Holder& holder = {}) {
    bool refresh = false;
    auto verdict = verifier_->Verify(token, &refresh, "", holder);
    if (!verdict && refresh) {
      verifier_->RefreshThen(token, [] {});
      verifier_->FetchDue();
      verdict = verifier_->Verify(token, nullptr, "", holder);
    }
    if (verdict) last_ = *verdict;
    return std::string(verdict ? "ok" : ReasonCode(verdict.error().code));
  }
  void Answers(const json& body, int status = 200) {
    idp_.Serve("/introspect", body.dump(), status);
  }
  static json Active() {
    json claims = test::Claims();
    claims["active"] = true;
    return claims;
  }
  static json Without(const char* name) {
    json claims = Active();
    claims.erase(name);
    return claims;
  }

  Signer signer_ = *Signer::Generate(Alg::es256, "k1");
  test::FakeClock clock_;
  test::FakeIdp idp_{"https://idp"};
  std::unique_ptr<TokenVerifier> verifier_;
  VerifiedPtr last_;
};

TEST_F(OpaqueTest, WhatTheProviderSaysIsJudgedAsATokenIs) {
  Answers(Active());
  EXPECT_EQ(Code("opaque-1"), "ok");
  EXPECT_EQ(last_->principal.subject, "alice");
  EXPECT_EQ(last_->principal.groups, std::vector<std::string>{"support"});
  int n = 2;
  const auto code = [&](json claims) {
    Answers(claims);
    return Code("opaque-" + std::to_string(n++));
  };
  const auto with = [](const char* name, json value) {
    json claims = Active();
    claims[name] = std::move(value);
    return claims;
  };
  EXPECT_EQ(code({{"active", false}}), "token-inactive");
  EXPECT_EQ(code(with("aud", "other")), "token-audience-wrong");
  EXPECT_EQ(code(Without("aud")), "token-audience-wrong");
  EXPECT_EQ(code(with("iss", "https://evil")), "token-issuer-unknown");
  EXPECT_EQ(code(Without("iss")), "ok");
  EXPECT_EQ(code(Without("exp")), "token-claims-invalid");
  EXPECT_EQ(code(with("exp", kIat - 61)), "token-claims-invalid");
  json over = Without("iat");
  over["exp"] = kIat - 61;
  EXPECT_EQ(code(over), "token-expired");
  EXPECT_EQ(code(Without("sub")), "token-claims-invalid");
  EXPECT_EQ(code(with("token_type", "refresh_token")), "token-type-wrong");
  EXPECT_EQ(code(with("cnf", {{"jkt", std::string(43, 'k')}})), "token-type-wrong");
  EXPECT_EQ(code(with("cnf", {{"kid", "other"}})), "token-type-wrong");
  EXPECT_EQ(code(with("active", "true")), "identity-provider-down");
  EXPECT_EQ(code(json::array()), "identity-provider-down");
  Answers(Active(), 401);
  EXPECT_EQ(Code("opaque-x"), "identity-provider-down");
  idp_.down = true;
  EXPECT_EQ(Code("opaque-y"), "identity-provider-down");
}

TEST_F(OpaqueTest, AnUndatedTokenDoesNotOutliveARevocation) {
  Answers(Without("iat"));
  EXPECT_EQ(Code("opaque-1"), "ok");
  EXPECT_EQ(last_->issued_at, 0);
}

TEST_F(OpaqueTest, ItIsAskedAgainAfterHalfAMinuteAndTheCallerStaysTheSame) {
  Answers(Active());
  EXPECT_EQ(Code("opaque-1"), "ok");
  const VerifiedPtr first = last_;
  clock_.Advance(seconds(29));
  EXPECT_EQ(verifier_->Known("opaque-1"), first);
  clock_.Advance(seconds(2));
  EXPECT_EQ(verifier_->Known("opaque-1"), nullptr);
  EXPECT_EQ(Code("opaque-1"), "ok");
  EXPECT_EQ(last_, first);
  clock_.Advance(seconds(31));
  Answers({{"active", false}});
  EXPECT_EQ(Code("opaque-1"), "token-inactive");
}

TEST_F(OpaqueTest, ItNeverOutlivesItsEnd) {
  json claims = Active();
  claims["exp"] = kIat + 10;
  Answers(claims);
  EXPECT_EQ(Code("opaque-1"), "ok");
  clock_.Advance(seconds(10));
  EXPECT_EQ(verifier_->Known("opaque-1"), nullptr);
}

TEST_F(OpaqueTest, WhatIsNotOpaqueIsNotShownToTheProvider) {
  Answers(Active());
  for (const char* token : {"eyJhbGciOiJub25lIn0.e30.", "eyJx", "a.b.c", "short", "with space-00",
                            "eyJhbGciOiJSU0EtT0FFUCJ9.a.b.c.d"}) {
    EXPECT_NE(Code(token), "ok") << token;
  }
  for (const auto& url : idp_.urls) EXPECT_NE(url, "https://idp/introspect");
}

TEST_F(OpaqueTest, OnlyTokensWithThePrefixAreAsked) {
  ProviderConfig corp = Corp();
  corp.introspection.token_prefix = "corp_";
  Make(corp);
  Answers(Active());
  EXPECT_EQ(Code("other_token_of_another"), "token-malformed");
  EXPECT_EQ(Code("corp_token_of_ours"), "ok");
  ProviderConfig second = corp;
  second.name = "second", second.issuer = "https://idp2";
  second.introspection.token_prefix = "corp_x";
  EXPECT_FALSE(CheckConfig({.providers = {corp, second}, .agents = {}}));
  second.introspection.token_prefix = "two_";
  EXPECT_TRUE(CheckConfig({.providers = {corp, second}, .agents = {}}));
}

/// A cluster that is asked about its accounts' tokens.
class ReviewTest : public OpaqueTest {
 protected:
  void SetUp() override {
    idp_.Serve("/.well-known/openid-configuration",
               R"({"issuer":"https://idp","jwks_uri":"https://idp/jwks"})");
    idp_.ServeKeys({signer_.PublicJwk()});
    ProviderConfig cluster = test::Corp();
    cluster.token_class = TokenClass::k8s_sa;
    cluster.token_review = {
        .url = "https://idp", .ca_file = {}, .token = {secrets::Ref::Kind::env, "X"}};
    auto made = TokenVerifier::Create(
        {.providers = {cluster},
         .agents = {{.name = "runner",
                     .owner = "group:ops",
                     .match = {.provider = "corp",
                               .client_id = {},
                               .subject = "system:serviceaccount:ci:runner",
                               .claims = {}}}}},
        idp_.fetch(), clock_,
        {.resolve = [](const secrets::Ref&) -> Result<Secret> { return Secret("sa"); }});
    ASSERT_TRUE(made) << made.error().detail;
    verifier_ = std::move(*made);
    verifier_->FetchDue();
  }
  void Says(const json& status) {
    idp_.Serve("/apis/authentication.k8s.io/v1/tokenreviews", json{{"status", status}}.dump(), 201);
  }
  std::string Token() {
    return *signer_.Sign(
        json{{"iss", "https://idp"},
             {"aud", "sallyport"},
             {"sub", "system:serviceaccount:ci:runner"},
             {"iat", kIat},
             {"exp", kIat + 600},
             {"kubernetes.io",
              {{"namespace", "ci"}, {"serviceaccount", {{"name", "runner"}, {"uid", "3f"}}}}}}
            .dump(),
        "JWT");
  }
  static json Good() {
    return {{"authenticated", true},
            {"user", {{"username", "system:serviceaccount:ci:runner"}}},
            {"audiences", {"sallyport"}}};
  }
};

TEST_F(ReviewTest, TheClusterHasTheLastWord) {
  const std::string token = Token();
  Says(Good());
  EXPECT_EQ(Code(token), "ok");
  const VerifiedPtr first = last_;
  clock_.Advance(seconds(9));
  EXPECT_EQ(verifier_->Known(token), first);
  clock_.Advance(seconds(2));
  EXPECT_EQ(verifier_->Known(token), nullptr);
  EXPECT_EQ(Code(token), "ok");
  EXPECT_EQ(last_, first);
  clock_.Advance(seconds(11));
  Says({{"authenticated", false}, {"error", "the pod is gone"}});
  EXPECT_EQ(Code(token), "token-inactive");
}

TEST_F(ReviewTest, AnAnswerForSomebodyElseIsNoAssent) {
  json other = Good();
  other["user"]["username"] = "system:serviceaccount:ci:other";
  Says(other);
  EXPECT_EQ(Code(Token()), "token-claims-invalid");
  clock_.Advance(seconds(11));
  json elsewhere = Good();
  elsewhere["audiences"] = {"https://kubernetes.default.svc"};
  Says(elsewhere);
  EXPECT_EQ(Code(Token()), "token-inactive");
  clock_.Advance(seconds(11));
  elsewhere.erase("audiences");
  Says(elsewhere);
  EXPECT_EQ(Code(Token()), "token-inactive");
  clock_.Advance(seconds(11));
  idp_.down = true;
  EXPECT_EQ(Code(Token()), "identity-provider-down");
}

TEST_F(ReviewTest, NobodyIsAskedAboutATokenThatIsNotSigned) {
  Says(Good());
  std::string forged = Token();
  forged.back() = forged.back() == 'A' ? 'Q' : 'A';
  forged[forged.size() - 5] = forged[forged.size() - 5] == 'b' ? 'c' : 'b';
  EXPECT_EQ(Code(forged), "token-signature-invalid");
  for (const auto& url : idp_.urls) EXPECT_FALSE(url.contains("tokenreviews"));
}

}  // namespace
}  // namespace sallyport::identity
