#include "credential/store_answers.h"

#include <gtest/gtest.h>

namespace sallyport::credential {
namespace {

TEST(StoreAnswers, BothVersionsOfKv) {
  auto one = ReadVaultSecret(
      R"({"lease_id":"","lease_duration":2764800,"data":{"password":"p","port":5432,"tags":["x"]}})");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->members.at("password").Reveal(), "p");
  EXPECT_EQ(one->members.at("port").Reveal(), "5432");
  EXPECT_FALSE(one->members.contains("tags"));
  EXPECT_EQ(one->good_for.count(), 2'764'800);
  auto two = ReadVaultSecret(
      R"({"lease_duration":0,"data":{"data":{"password":"q"},"metadata":{"version":3}}})");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->members.at("password").Reveal(), "q");
  EXPECT_EQ(
      ReadVaultSecret(R"({"data":{"data":null,"metadata":{"deletion_time":"x"}}})").error().code,
      Errc::not_found);
  // A member called data, in version 1.
  EXPECT_TRUE(ReadVaultSecret(R"({"data":{"data":"x","password":"p"}})")->members.contains("data"));
}

TEST(StoreAnswers, WhatIsNoSecret) {
  for (const char* bad : {"", "[]", "null", "{}", R"({"data":null})", R"({"data":"x"})",
                          R"({"data":{"a":"x\u0000"}})",
                          R"({"lease_id":"database/creds/r/1","data":{"password":"p"}})",
                          R"({"lease_duration":-1,"data":{}})",
                          R"({"lease_duration":"x","data":{}})", R"({"data":{"a":"1","a":"2"}})"}) {
    EXPECT_FALSE(ReadVaultSecret(bad)) << bad;
  }
}

TEST(StoreAnswers, TokensAndLeases) {
  auto token =
      ReadVaultToken(R"({"auth":{"client_token":"hvs.x","lease_duration":60,"renewable":true}})");
  ASSERT_TRUE(token);
  EXPECT_EQ(token->token.Reveal(), "hvs.x");
  EXPECT_EQ(token->life.count(), 60);
  EXPECT_TRUE(token->renewable);
  EXPECT_EQ(ReadVaultToken(R"({"auth":null,"data":{"ttl":0}})")->life.count(), 0);
  EXPECT_FALSE(ReadVaultToken(R"({"auth":{"client_token":"a\nb"}})"));
  EXPECT_FALSE(ReadVaultToken(R"({"auth":{}})"));
  auto lease = ReadVaultLease(
      R"({"lease_id":"database/creds/r/1","lease_duration":30,"renewable":true,"data":{"username":"v-x","password":"p"}})",
      true);
  ASSERT_TRUE(lease);
  EXPECT_EQ(lease->user, "v-x");
  EXPECT_FALSE(ReadVaultLease(R"({"lease_id":"x","lease_duration":0})", false));
  EXPECT_FALSE(ReadVaultLease(R"({"lease_id":"","lease_duration":5})", false));
  EXPECT_FALSE(ReadVaultLease(R"({"lease_id":"x","lease_duration":5,"data":{}})", true));
  EXPECT_TRUE(ReadVaultLease(R"({"lease_id":"x","lease_duration":99999999999999})", false));
}

TEST(StoreAnswers, SecretsManager) {
  auto text = ReadSecretValue(R"({"Name":"n","SecretString":"just text"})");
  ASSERT_TRUE(text);
  EXPECT_EQ(text->whole.Reveal(), "just text");
  EXPECT_TRUE(text->members.empty());
  auto object = ReadSecretValue(R"({"SecretString":"{\"password\":\"p\"}"})");
  EXPECT_EQ(object->members.at("password").Reveal(), "p");
  EXPECT_FALSE(ReadSecretValue(R"({"SecretBinary":"eA=="})"));
  EXPECT_EQ(AwsErrorName(R"({"__type":"com.amazonaws#AccessDeniedException","m":"x"})"),
            "AccessDeniedException");
  EXPECT_EQ(AwsErrorName(R"({"__type":"a b"})"), "");
}

}  // namespace
}  // namespace sallyport::credential
