#include "oauth/client.h"

#include <gtest/gtest.h>

#include "base/bytes.h"
#include "oauth/registration.h"

namespace sallyport::oauth {
namespace {

using Kind = Client::Kind;

TEST(ClientMetadata, DocumentsAndRegistrations) {
  const auto document = ReadClientMetadata(
      R"({"client_id":"https://c.example/m","client_name":"A \u202eclient","redirect_uris":)"
      R"(["vscode://x/y","http://127.0.0.1/cb"],"token_endpoint_auth_method":"none"})",
      Kind::document);
  ASSERT_TRUE(document);
  EXPECT_EQ(document->client_id, "https://c.example/m");
  EXPECT_EQ(document->name.substr(0, 2), "A ");
  EXPECT_EQ(document->name.find('\xe2'), std::string::npos);
  EXPECT_EQ(document->redirects.size(), 1u);  // the other is none of ours
  const auto registration = ReadClientMetadata(
      R"({"redirect_uris":["http://127.0.0.1/cb"],"token_endpoint_auth_method":"client_secret_post"})",
      Kind::registered);
  EXPECT_TRUE(registration);
}

TEST(ClientMetadata, WhatIsRefused) {
  for (const char* text :
       {"", "[]", "{}", R"({"redirect_uris":[]})", R"({"redirect_uris":"https://a.example/"})",
        R"({"redirect_uris":[1]})",
        R"({"redirect_uris":["https://a.example/"],"redirect_uris":[]})",
        R"({"redirect_uris":["https://a.example/"],"client_secret":"x"})",
        R"({"redirect_uris":["https://a.example/"],"response_types":["token"]})",
        R"({"redirect_uris":["https://a.example/"],"grant_types":["implicit"]})",
        R"({"redirect_uris":["https://a.example/"],"grant_types":"authorization_code"})",
        R"({"redirect_uris":["https://a.example/"],"client_name":7})",
        R"({"redirect_uris":["https://a.example/"],"client_id":7})"}) {
    EXPECT_FALSE(ReadClientMetadata(text, Kind::document)) << text;
    EXPECT_FALSE(ReadClientMetadata(text, Kind::registered)) << text;
  }
  constexpr const char* kSecret =
      R"({"redirect_uris":["https://a.example/"],"token_endpoint_auth_method":"private_key_jwt"})";
  EXPECT_FALSE(ReadClientMetadata(kSecret, Kind::document));
  EXPECT_FALSE(ReadClientMetadata(R"({"redirect_uris":["https://a.example/","http://a.example/"]})",
                                  Kind::registered));
}

TEST(Registration, IsItsOwnClientId) {
  const std::string key(32, 'k');
  const auto sealer = state::Sealer::Make(Secret(Base64UrlEncode(AsBytes(key))));
  ASSERT_TRUE(sealer);
  const auto metadata = ReadClientMetadata(
      R"({"client_name":"A","redirect_uris":["http://127.0.0.1/cb"]})", Kind::registered);
  ASSERT_TRUE(metadata);
  const auto one = Register(*sealer, *metadata), two = Register(*sealer, *metadata);
  ASSERT_TRUE(one && two);
  EXPECT_NE(*one, *two);
  const auto client = OpenRegistration(*sealer, *one);
  ASSERT_TRUE(client);
  EXPECT_EQ(client->id, *one);
  EXPECT_EQ(client->name, "A");
  EXPECT_EQ(client->kind, Kind::registered);
  EXPECT_NE(client->label, OpenRegistration(*sealer, *two)->label);
  for (size_t i = 0; i < one->size(); i += 7) {
    std::string changed = *one;
    changed[i] = changed[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(OpenRegistration(*sealer, changed)) << i;
  }
  ClientMetadata large = *metadata;
  large.redirects.assign(8, *RedirectUri::Parse("https://a.example/" + std::string(200, 'a')));
  EXPECT_FALSE(Register(*sealer, large));
}

}  // namespace
}  // namespace sallyport::oauth
