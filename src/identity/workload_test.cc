#include "identity/workload.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "identity/signer.h"

namespace sallyport::identity {
namespace {

using Json = nlohmann::json;

class WorkloadTest : public testing::Test {
 protected:
  std::string Judge(const Json& claims, TokenClass token_class, const std::string& typ = "JWT") {
    const auto jws = ParseJws(*signer_.Sign(claims.dump(), typ));
    const auto checked = CheckWorkload(*jws, token_class);
    return checked ? "ok" : std::string(ReasonCode(checked.error().code));
  }
  static std::string Origin(const Json& claims, TokenClass token_class) {
    const std::string text = claims.dump();
    const auto read = json::Document::Parse(text);
    return OriginOf(read->root(), token_class);
  }

  Signer signer_ = *Signer::Generate(Alg::es256, "k");
};

const Json kPod = {{"sub", "system:serviceaccount:ci:runner"},
                   {"kubernetes.io",
                    {{"namespace", "ci"},
                     {"serviceaccount", {{"name", "runner"}, {"uid", "3f1a"}}},
                     {"pod", {{"name", "runner-x"}, {"uid", "77b0"}}}}}};
const Json kRole = {{"sub", "arn:aws:iam::210987654321:role/reports"},
                    {"https://sts.amazonaws.com/", {{"aws_account", "210987654321"}}}};

Json With(Json claims, const std::string& pointer, Json value) {
  claims[Json::json_pointer(pointer)] = std::move(value);
  return claims;
}

TEST_F(WorkloadTest, APodIsWhatItsSubjectSays) {
  EXPECT_EQ(Judge(kPod, TokenClass::k8s_sa), "ok");
  EXPECT_EQ(Judge(With(kPod, "/sub", "system:serviceaccount:ci:admin"), TokenClass::k8s_sa),
            "token-claims-invalid");
  EXPECT_EQ(Judge(With(kPod, "/kubernetes.io/namespace", "kube-system"), TokenClass::k8s_sa),
            "token-claims-invalid");
  EXPECT_EQ(Judge({{"sub", "system:serviceaccount:ci:runner"}}, TokenClass::k8s_sa),
            "token-type-wrong");
  EXPECT_EQ(Judge(With(kPod, "/nonce", "n"), TokenClass::k8s_sa), "token-type-wrong");
  EXPECT_EQ(Judge(kPod, TokenClass::k8s_sa, "at+jwt"), "token-type-wrong");
}

TEST_F(WorkloadTest, ARoleOfAws) {
  EXPECT_EQ(Judge(kRole, TokenClass::aws_webidentity), "ok");
  EXPECT_EQ(Judge(With(kRole, "/sub", "alice"), TokenClass::aws_webidentity),
            "token-claims-invalid");
  EXPECT_EQ(Judge({{"sub", "arn:aws:iam::1:role/x"}}, TokenClass::aws_webidentity),
            "token-type-wrong");
}

TEST_F(WorkloadTest, SpiffeIds) {
  for (const char* good : {"spiffe://example.org/ns/ci/sa/runner", "spiffe://a.b-c_d/X.y-Z_0"})
    EXPECT_EQ(Judge({{"sub", good}}, TokenClass::spiffe), "ok") << good;
  EXPECT_EQ(Judge({{"sub", "spiffe://example.org/a"}}, TokenClass::spiffe, "JOSE"), "ok");
  for (const char* bad :
       {"spiffe://example.org", "spiffe://example.org/", "spiffe:///a", "spiffe://Example.org/a",
        "spiffe://example.org/a/", "spiffe://example.org//a", "spiffe://example.org/../a",
        "spiffe://example.org/a/.", "spiffe://example.org/a?b", "spiffe://example.org:80/a",
        "spiffe://u@example.org/a", "https://example.org/a", ""})
    EXPECT_EQ(Judge({{"sub", bad}}, TokenClass::spiffe), "token-claims-invalid") << bad;
}

TEST_F(WorkloadTest, EachKindShowsItsMarks) {
  for (const Json& claims : {kPod, kRole, Json{{"sub", "spiffe://example.org/a"}},
                             Json{{"sub", "x"}, {"repository_id", "74"}}}) {
    const std::string text = claims.dump();
    EXPECT_TRUE(ShowsWorkload(json::Document::Parse(text)->root())) << text;
  }
  const std::string person = R"({"sub":"alice","email":"a@example.com"})";
  EXPECT_FALSE(ShowsWorkload(json::Document::Parse(person)->root()));
}

TEST_F(WorkloadTest, WhatRan) {
  EXPECT_EQ(Origin({{"repository_id", "74"},
                    {"run_id", "9001"},
                    {"ref", "refs/heads/main"},
                    {"ref_protected", true},
                    {"environment", "pro\nd"},
                    {"actor_id", Json::array()},
                    {"job_workflow_ref", std::string(200, 'x')}},
                   TokenClass::ci_workload),
            "repository_id=74 run_id=9001 ref=refs/heads/main ref_protected=true");
  EXPECT_EQ(Origin(kPod, TokenClass::k8s_sa),
            "namespace=ci pod.name=runner-x pod.uid=77b0 serviceaccount.uid=3f1a");
  EXPECT_EQ(Origin(kRole, TokenClass::aws_webidentity), "aws_account=210987654321");
}

TEST(WorkloadMatch, NamesAreNotEnough) {
  const auto pinned = [](AgentConfig::Match match, TokenClass token_class) {
    return CheckPinned(match, token_class).has_value();
  };
  const auto ci = TokenClass::ci_workload;
  EXPECT_FALSE(pinned({.claims = {{"repository", "acme/shop"}}}, ci));
  EXPECT_FALSE(pinned({.subject = "repo:acme/shop:ref:refs/heads/main"}, ci));
  EXPECT_FALSE(pinned({.claims = {{"project_path", "acme/shop"}, {"ref", "main"}}}, ci));
  for (const char* id : {"repository_id", "repository_owner_id", "project_id", "namespace_id"})
    EXPECT_TRUE(pinned({.claims = {{id, "74"}, {"ref", "main"}}}, ci)) << id;
  EXPECT_FALSE(pinned({.claims = {{"kubernetes.io.namespace", "ci"}}}, TokenClass::k8s_sa));
  EXPECT_TRUE(pinned({.subject = "system:serviceaccount:ci:runner"}, TokenClass::k8s_sa));
  EXPECT_FALSE(pinned({.client_id = "x"}, TokenClass::aws_webidentity));
  EXPECT_TRUE(pinned({.subject = "arn:aws:iam::1:role/x"}, TokenClass::aws_webidentity));
  EXPECT_FALSE(pinned({.subject = "spiffe://Example.org/a"}, TokenClass::spiffe));
  EXPECT_TRUE(pinned({.subject = "spiffe://example.org/a"}, TokenClass::spiffe));
  EXPECT_TRUE(pinned({.client_id = "desk"}, TokenClass::access));
}

}  // namespace
}  // namespace sallyport::identity
