#include "credential/auth_metadata.h"

#include <gtest/gtest.h>

namespace sallyport::credential {
namespace {

std::string Resource(std::string_view resource) {
  return R"({"resource":")" + std::string(resource) +
         R"(","authorization_servers":["https://login.example"],"scopes_supported":["read","a b",7]})";
}

TEST(ResourceMetadata, IsOfTheUpstreamOrAboveIt) {
  for (const std::string_view good :
       {"https://up.example/mcp", "https://up.example/mcp/", "https://up.example/",
        "https://up.example", "https://UP.example:443/mcp"}) {
    const auto read = ReadResourceMetadata(Resource(good), "https://up.example/mcp?x=1");
    ASSERT_TRUE(read) << good;
    EXPECT_EQ(read->resource, good);
    EXPECT_EQ(read->scopes, std::vector<std::string>{"read"});
  }
  for (const std::string_view bad :
       {"https://evil.example/mcp", "https://up.example/mc", "https://up.example/mcp/x",
        "http://up.example/mcp", "https://up.example:8443/mcp", "https://up.example.evil/mcp",
        "https://up.example@evil.example/mcp", "https://up.example/mcp#x", ""})
    EXPECT_FALSE(ReadResourceMetadata(Resource(bad), "https://up.example/mcp")) << bad;
}

TEST(ResourceMetadata, NamesAServer) {
  EXPECT_FALSE(ReadResourceMetadata(R"({"resource":"https://up.example"})", "https://up.example"));
  EXPECT_FALSE(ReadResourceMetadata(
      R"({"resource":"https://up.example","authorization_servers":[]})", "https://up.example"));
  EXPECT_FALSE(ReadResourceMetadata("[]", "https://up.example"));
  EXPECT_FALSE(ReadResourceMetadata(Resource("https://up.example") + std::string(70'000, ' '),
                                    "https://up.example"));
}

std::string Server(std::string_view issuer, std::string_view authorize,
                   std::string_view token = "https://login.example/token") {
  return R"({"issuer":")" + std::string(issuer) + R"(","authorization_endpoint":")" +
         std::string(authorize) + R"(","token_endpoint":")" + std::string(token) +
         R"(","registration_endpoint":"javascript:x","code_challenge_methods_supported":["S256"],)"
         R"("authorization_response_iss_parameter_supported":true})";
}

TEST(AuthServer, IsOfTheIssuerByteForByte) {
  const auto read =
      ReadAuthServer(Server("https://login.example", "https://login.example/authorize?tenant=1"),
                     "https://login.example");
  ASSERT_TRUE(read);
  EXPECT_EQ(read->authorize_url, "https://login.example/authorize?tenant=1");
  EXPECT_EQ(read->registration_url, "");
  EXPECT_TRUE(read->answers_iss);
  for (const std::string_view other :
       {"https://login.example/", "https://LOGIN.example", "https://evil.example", ""})
    EXPECT_FALSE(
        ReadAuthServer(Server(other, "https://login.example/authorize"), "https://login.example"))
        << other;
}

TEST(AuthServer, HasEndpointsToGoTo) {
  for (const std::string_view url :
       {"javascript:alert(1)", "http://login.example/authorize", "https://login.example/a#b",
        "https://login.example/a b", "https://login.example/\\\"><script>", "//login.example/a",
        "https://a@login.example/", ""})
    EXPECT_FALSE(ReadAuthServer(Server("https://login.example", url), "https://login.example"))
        << url;
  EXPECT_FALSE(ReadAuthServer(
      Server("https://login.example", "https://login.example/a", "http://10.0.0.1/token"),
      "https://login.example"));
}

TEST(Places, AreLookedForInOrder) {
  EXPECT_EQ(
      ResourceMetadataUrls("https://up.example/a/mcp/?x=1"),
      (std::vector<std::string>{"https://up.example/.well-known/oauth-protected-resource/a/mcp",
                                "https://up.example/.well-known/oauth-protected-resource"}));
  EXPECT_EQ(AuthServerUrls("https://login.example/tenant"),
            (std::vector<std::string>{
                "https://login.example/.well-known/oauth-authorization-server/tenant",
                "https://login.example/.well-known/openid-configuration/tenant",
                "https://login.example/tenant/.well-known/openid-configuration"}));
  EXPECT_EQ(AuthServerUrls("https://login.example/").size(), 2u);
  EXPECT_TRUE(AuthServerUrls("file:///etc/passwd").empty());
}

}  // namespace
}  // namespace sallyport::credential
