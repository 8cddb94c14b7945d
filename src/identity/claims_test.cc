#include "identity/claims.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <string>

#include "identity/signer.h"
#include "identity/test_idp.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
using test::kIat;

class ClaimsTest : public testing::Test {
 protected:
  /// The reason code for `claims`, or "ok".
  std::string Judge(const json& claims, const std::string& typ = "at+jwt") {
    auto token = signer_.Sign(claims.dump(), typ);
    auto jws = ParseJws(*token);
    if (!jws) return std::string(ReasonCode(jws.error().code));
    auto checked = CheckClaims(*jws, provider_, known_clients_, now_ * test::kSecond);
    if (!checked) return std::string(ReasonCode(checked.error().code));
    checked_ = *checked;
    return "ok";
  }
  static json With(const std::string& name, json value) {
    json c = test::Claims();
    c[name] = std::move(value);
    return c;
  }
  static json Without(const std::string& name) {
    json c = test::Claims();
    c.erase(name);
    return c;
  }

  Signer signer_ = *Signer::Generate(Alg::es256, "k");
  ProviderConfig provider_ = test::Corp();
  std::vector<std::string> known_clients_{"desk"};
  int64_t now_ = kIat;
  CheckedClaims checked_;
};

TEST_F(ClaimsTest, PlainAccessToken) {
  EXPECT_EQ(Judge(test::Claims()), "ok");
  EXPECT_EQ(checked_.subject, "alice");
  EXPECT_EQ(checked_.client_id, "desk");
  EXPECT_EQ(checked_.expires_at, (kIat + 3600) * test::kSecond);
}

TEST_F(ClaimsTest, ExpiryAtTheEdgesOfTheSkew) {
  now_ = kIat + 3600 + 59;
  EXPECT_EQ(Judge(test::Claims()), "ok");
  now_ = kIat + 3600 + 60;
  EXPECT_EQ(Judge(test::Claims()), "token-expired");
  now_ = kIat + 3600 + 61;
  EXPECT_EQ(Judge(test::Claims()), "token-expired");
  provider_.skew = std::chrono::seconds(0);
  now_ = kIat + 3600;
  EXPECT_EQ(Judge(test::Claims()), "token-expired");
  now_ = kIat + 3599;
  EXPECT_EQ(Judge(test::Claims()), "ok");
}

TEST_F(ClaimsTest, NotBeforeAndIssuedInTheFuture) {
  EXPECT_EQ(Judge(With("nbf", kIat + 60)), "ok");
  EXPECT_EQ(Judge(With("nbf", kIat + 61)), "token-not-yet-valid");
  now_ = kIat - 60;
  EXPECT_EQ(Judge(test::Claims()), "ok");
  now_ = kIat - 61;
  EXPECT_EQ(Judge(test::Claims()), "token-not-yet-valid");
  now_ = kIat - 600;
  EXPECT_EQ(Judge(test::Claims()), "token-not-yet-valid");
  now_ = kIat + 3600 + 600;
  EXPECT_EQ(Judge(test::Claims()), "token-expired");
}

TEST_F(ClaimsTest, DatesAreRequiredAndTyped) {
  EXPECT_EQ(Judge(Without("exp")), "token-claims-invalid");
  EXPECT_EQ(Judge(Without("iat")), "token-claims-invalid");
  for (const json& bad : {json("1795203600"), json(-1), json(1e300), json(true), json(nullptr),
                          json::array({1}), json(9'000'000'001)}) {
    EXPECT_EQ(Judge(With("exp", bad)), "token-claims-invalid") << bad;
    EXPECT_EQ(Judge(With("nbf", bad)), "token-claims-invalid") << bad;
  }
  EXPECT_EQ(Judge(With("exp", double(kIat) + 3600.9)), "ok");
  EXPECT_EQ(checked_.expires_at, (kIat + 3600) * test::kSecond);
  EXPECT_EQ(Judge(With("exp", kIat)), "token-claims-invalid");
  EXPECT_EQ(Judge(With("exp", kIat + 86400)), "ok");
  EXPECT_EQ(Judge(With("exp", kIat + 86401)), "token-claims-invalid");
}

TEST_F(ClaimsTest, IssuerIsComparedByteForByte) {
  for (auto iss : {"https://idp/", "https://IDP", "https://idp.evil", "", "https://id"}) {
    EXPECT_EQ(Judge(With("iss", iss)), "token-issuer-unknown") << iss;
  }
  EXPECT_EQ(Judge(With("iss", 7)), "token-issuer-unknown");
  EXPECT_EQ(Judge(Without("iss")), "token-issuer-unknown");
}

TEST_F(ClaimsTest, Audience) {
  EXPECT_EQ(Judge(With("aud", "other")), "token-audience-wrong");
  EXPECT_EQ(Judge(With("aud", "sallyport/")), "token-audience-wrong");
  EXPECT_EQ(Judge(With("aud", "SALLYPORT")), "token-audience-wrong");
  EXPECT_EQ(Judge(Without("aud")), "token-audience-wrong");
  EXPECT_EQ(Judge(With("aud", json::object({{"sallyport", true}}))), "token-audience-wrong");
  EXPECT_EQ(Judge(With("aud", json::array())), "token-audience-wrong");
  EXPECT_EQ(Judge(With("aud", {"sallyport"})), "ok");
  EXPECT_EQ(Judge(With("aud", {"other", "third"})), "token-audience-wrong");
  EXPECT_EQ(Judge(With("aud", json::array({"sallyport", 7}))), "token-claims-invalid");
}

TEST_F(ClaimsTest, SeveralAudiencesNeedAKnownClient) {
  EXPECT_EQ(Judge(With("aud", {"other", "sallyport"})), "ok");
  known_clients_.clear();
  EXPECT_EQ(Judge(With("aud", {"other", "sallyport"})), "token-audience-wrong");
  json anonymous = With("aud", {"other", "sallyport"});
  anonymous.erase("client_id");
  known_clients_ = {"desk", ""};
  EXPECT_EQ(Judge(anonymous), "token-audience-wrong");
  anonymous["azp"] = "desk";
  EXPECT_EQ(Judge(anonymous), "ok");
}

TEST_F(ClaimsTest, ClientClaimsMustAgree) {
  EXPECT_EQ(Judge(With("azp", "desk")), "ok");
  EXPECT_EQ(Judge(With("azp", "another")), "token-claims-invalid");
  EXPECT_EQ(Judge(With("cid", "another")), "token-claims-invalid");
  EXPECT_EQ(Judge(With("azp", 7)), "token-claims-invalid");
}

TEST_F(ClaimsTest, Subject) {
  EXPECT_EQ(Judge(Without("sub")), "token-claims-invalid");
  EXPECT_EQ(Judge(With("sub", "")), "token-claims-invalid");
  EXPECT_EQ(Judge(With("sub", 7)), "token-claims-invalid");
  EXPECT_EQ(Judge(With("sub", json::array({"alice"}))), "token-claims-invalid");
  EXPECT_EQ(Judge(With("sub", "a\nb")), "token-claims-invalid");
  EXPECT_EQ(Judge(With("sub", std::string("a\0b", 3))), "token-claims-invalid");
  EXPECT_EQ(Judge(With("sub", std::string(255, 'a'))), "ok");
  EXPECT_EQ(Judge(With("sub", std::string(256, 'a'))), "token-claims-invalid");
}

TEST_F(ClaimsTest, TypOfAnAccessToken) {
  EXPECT_EQ(Judge(test::Claims(), "JWT"), "ok");
  EXPECT_EQ(Judge(test::Claims(), "AT+JWT"), "ok");
  EXPECT_EQ(Judge(test::Claims(), "application/at+jwt"), "ok");
  for (auto typ :
       {"logout+jwt", "secevent+jwt", "dpop+jwt", "JOSE", "at-jwt", "application/jwt2"}) {
    EXPECT_EQ(Judge(test::Claims(), typ), "token-type-wrong") << typ;
  }
  provider_.require_at_jwt = true;
  EXPECT_EQ(Judge(test::Claims(), "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(test::Claims(), "application/at+jwt"), "ok");
}

TEST_F(ClaimsTest, IdTokensAreNotAccessTokens) {
  EXPECT_EQ(Judge(With("nonce", "n"), "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(With("at_hash", "h"), "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(With("c_hash", "h"), "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(With("typ", "ID"), "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(With("typ", "Refresh"), "JWT"), "token-type-wrong");
  json keycloak = With("nonce", "n");
  keycloak["typ"] = "Bearer";
  EXPECT_EQ(Judge(keycloak, "JWT"), "ok");
}

TEST_F(ClaimsTest, OtherClassesAreNotAccessTokens) {
  json events = {{"http://schemas.openid.net/event/backchannel-logout", json::object()}};
  EXPECT_EQ(Judge(With("events", events), "JWT"), "token-type-wrong");
  json proof = With("htm", "POST");
  proof["htu"] = "https://gate/mcp/payments";
  EXPECT_EQ(Judge(proof, "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(With("repository_id", "42"), "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(With("job_workflow_ref", "o/r/.github/workflows/x.yml@main"), "JWT"),
            "token-type-wrong");
  EXPECT_EQ(Judge(With("pipeline_id", "7"), "JWT"), "token-type-wrong");
  EXPECT_EQ(Judge(With("kubernetes.io", json::object()), "JWT"), "token-type-wrong");
}

TEST_F(ClaimsTest, ABoundTokenIsNotABearerToken) {
  EXPECT_EQ(Judge(With("cnf", {{"jkt", "x"}})), "token-type-wrong");
}

TEST_F(ClaimsTest, CiWorkloads) {
  provider_.token_class = TokenClass::ci_workload;
  json ci = With("repository_id", "42");
  ci["event_name"] = "push";
  EXPECT_EQ(Judge(ci, "JWT"), "ok");
  EXPECT_EQ(Judge(ci, "at+jwt"), "token-type-wrong");
  ci["event_name"] = "pull_request_target";
  EXPECT_EQ(Judge(ci, "JWT"), "token-claims-invalid");
  ci["event_name"] = "workflow_run";
  EXPECT_EQ(Judge(ci, "JWT"), "token-claims-invalid");
  EXPECT_EQ(Judge(With("nonce", "n"), "JWT"), "token-type-wrong");
  provider_.token_class = TokenClass::k8s_sa;
  EXPECT_EQ(Judge(test::Claims(), "JWT"), "token-type-wrong");
}

TEST_F(ClaimsTest, ScopesAndMethods) {
  json c = With("scope", " read  write ");
  c["amr"] = {"mfa", "otp", 7};
  EXPECT_EQ(Judge(c), "ok");
  EXPECT_THAT(checked_.scopes, testing::ElementsAre("read", "write"));
  EXPECT_THAT(checked_.amr, testing::ElementsAre("mfa", "otp"));
  EXPECT_EQ(Judge(With("scp", {"a", "b"})), "ok");
  EXPECT_THAT(checked_.scopes, testing::ElementsAre("a", "b"));
}

}  // namespace
}  // namespace sallyport::identity
