#include "credential/snowflake.h"

#include <gtest/gtest.h>

namespace sallyport::credential {
namespace {

op::Principal Ana(std::vector<std::string> groups, bool complete = true) {
  return {.issuer = "https://idp",
          .subject = "248",
          .name = "ana@example.com",
          .groups = std::move(groups),
          .groups_complete = complete,
          .provider = "corp"};
}

const SnowflakeOAuth kConfig{
    .account_url = "https://acme-main.snowflakecomputing.com",
    .roles = {{{"group:limited"}, "LIMITED"}, {{"group:analysts", "agent:bot"}, "ANALYST"}},
    .provider = "corp"};

TEST(SnowflakeRole, IsTheFirstThatSpeaksOfTheCaller) {
  EXPECT_EQ(SnowflakeRole(kConfig, Ana({"analysts"})), "ANALYST");
  EXPECT_EQ(SnowflakeRole(kConfig, Ana({"analysts", "limited"})), "LIMITED");
  EXPECT_FALSE(SnowflakeRole(kConfig, Ana({"others"})));
  EXPECT_FALSE(SnowflakeRole(kConfig, Ana({})));
  op::Principal bot = Ana({});
  bot.agent = "bot";
  EXPECT_EQ(SnowflakeRole(kConfig, bot), "ANALYST");
}

TEST(SnowflakeRole, IsNotGuessedFromGroupsThatAreNotAllKnown) {
  // The group that is missing may be `limited`.
  EXPECT_FALSE(SnowflakeRole(kConfig, Ana({"analysts"}, false)));
  EXPECT_EQ(SnowflakeRole(kConfig, Ana({"limited"}, false)), "LIMITED");
}

TEST(SnowflakeRole, IsForOneProviderAlone) {
  op::Principal stranger = Ana({"analysts"});
  stranger.provider = "partner";
  EXPECT_FALSE(SnowflakeRole(kConfig, stranger));
  SnowflakeOAuth by_name = kConfig;
  by_name.login_by_name = true;
  op::Principal nameless = Ana({"analysts"});
  nameless.name.clear();
  EXPECT_FALSE(SnowflakeRole(by_name, nameless));
}

}  // namespace
}  // namespace sallyport::credential
