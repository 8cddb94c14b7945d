#include "pg/oauthbearer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "pg/client_auth.h"

namespace sallyport::pg {
namespace {

using testing::HasSubstr;

std::string Read(std::string_view message) {
  const auto parsed = ParseOAuthBearer(message);
  if (!parsed) return std::string(parsed.error().sqlstate) + " " + parsed.error().detail;
  return "token=" + std::string(parsed->token) + (parsed->discovery ? " discovery" : "");
}

TEST(OAuthBearerTest, Tokens) {
  EXPECT_EQ(Read("n,,\1auth=Bearer abc.def-_~+/09==\1\1"), "token=abc.def-_~+/09==");
  EXPECT_EQ(Read("y,,\1auth=bEaReR   abc\1\1"), "token=abc");
  EXPECT_EQ(Read("n,,\1host=h\1port=1\1auth=Bearer abc\1x=y\tz\1\1"), "token=abc");
  EXPECT_EQ(Read("n,,\1auth=\1\1"), "token= discovery");
  for (const char* value : {"Basic abc", "Bearer", "Bearer ", "abc", "Bearer a b",
                            "Bearer =", "Bearer a=b", "Bearer a\tb"})
    EXPECT_EQ(Read(std::string("n,,\1auth=") + value + "\1\1"), "token=") << value;
}

TEST(OAuthBearerTest, Violations) {
  const std::pair<std::string, const char*> cases[] = {
      {"", "08P01 The message is empty"},
      {std::string("n,,\1auth=Bearer a\0\1\1", 20), "08P01 Message length"},
      {"p=tls-unique,,\1auth=Bearer a\1\1", "08P01 The server does not support channel binding"},
      {"x,,\1auth=Bearer a\1\1", "08P01 Unexpected channel-binding flag"},
      {"n", "08P01 Comma expected"},
      {"n;,\1auth=Bearer a\1\1", "08P01 Comma expected"},
      {"n,a=bob,\1auth=Bearer a\1\1", "0A000 The client uses authorization identity"},
      {"n,x,\1auth=Bearer a\1\1", "08P01 Unexpected attribute"},
      {"n,,auth=Bearer a\1\1", "08P01 Key-value separator expected"},
      {"n,,\1auth=Bearer a\1auth=Bearer b\1\1", "08P01 Message contains multiple auth values"},
      {"n,,\1auth=Bearer a\1", "08P01 Message did not contain a final terminator"},
      {"n,,\1", "08P01 Message did not contain a final terminator"},
      {"n,,\1auth=Bearer a", "08P01 Message contains an unterminated key/value pair"},
      {"n,,\1\1", "08P01 Message does not contain an auth value"},
      {"n,,\1host=x\1\1", "08P01 Message does not contain an auth value"},
      {"n,,\1auth=Bearer a\1\1x", "08P01 Message contains additional data"},
      {"n,,\1auth=Bearer a\1\1\1", "08P01 Message contains additional data"},
      {"n,,\1auth\1\1", "08P01 Message contains a key without a value"},
      {"n,,\1=x\1\1", "08P01 Message contains an empty key name"},
      {"n,,\1a1=x\1\1", "08P01 Message contains an invalid key name"},
      {"n,,\1auth=\x80\1\1", "08P01 Message contains an invalid value"},
      {"n,,\1x=\x02\1auth=Bearer a\1\1", "08P01 Message contains an invalid value"},
  };
  for (const auto& [message, expected] : cases)
    EXPECT_THAT(Read(message), HasSubstr(expected)) << testing::PrintToString(message);
}

TEST(OAuthBearerTest, EveryCutOfAGoodMessageIsAViolation) {
  const std::string good = "n,,\1auth=Bearer abc\1\1";
  for (size_t n = 0; n < good.size(); ++n)
    EXPECT_THAT(Read(good.substr(0, n)), HasSubstr("08P01")) << n;
}

TEST(OAuthBearerTest, TheChallengeIsPostgreSqls) {
  EXPECT_EQ(OAuthBearerChallenge("https://idp/.well-known/openid-configuration", "a \"b\""),
            R"({ "status": "invalid_token", "openid-configuration": )"
            R"("https://idp/.well-known/openid-configuration", "scope": "a \"b\"" })");
}

TEST(ClientAuthTest, Passwords) {
  EXPECT_EQ(*ParsePassword(std::string_view("abc\0", 4)), "abc");
  EXPECT_STREQ(ParsePassword("abc").error().sqlstate, "08P01");
  EXPECT_STREQ(ParsePassword(std::string_view("a\0b\0", 4)).error().sqlstate, "08P01");
  EXPECT_STREQ(ParsePassword("").error().sqlstate, "08P01");
  const auto empty = ParsePassword(std::string_view("\0", 1));
  EXPECT_STREQ(empty.error().sqlstate, "28P01");
  EXPECT_EQ(empty.error().error.code, Errc::token_missing);
}

TEST(ClientAuthTest, SaslInitialResponses) {
  const std::string mechanism("OAUTHBEARER\0", 12);
  EXPECT_EQ(**ParseSaslInitial(mechanism + std::string("\0\0\0\3abc", 7)), "abc");
  EXPECT_EQ(*ParseSaslInitial(mechanism + "\xff\xff\xff\xff"), std::nullopt);
  EXPECT_EQ(**ParseSaslInitial(mechanism + std::string("\0\0\0\0", 4)), "");
  for (const std::string& body :
       {std::string(), mechanism, mechanism + std::string("\0\0\0\4abc", 7),
        mechanism + std::string("\0\0\0\2abc", 7), mechanism + "\xff\xff\xff\xfe",
        mechanism + "\xff\xff\xff\xff" + "x", std::string("PLAIN\0\0\0\0\0", 10),
        std::string("OAUTHBEARER")}) {
    const auto parsed = ParseSaslInitial(body);
    ASSERT_FALSE(parsed) << testing::PrintToString(body);
    EXPECT_STREQ(parsed.error().sqlstate, "08P01");
  }
}

TEST(ClientAuthTest, NamesOfOnesOwn) {
  op::Principal ana;
  ana.subject = "user-17";
  ana.name = "ana@example.com";
  for (const char* own : {"ana", "ana@example.com", "user-17", "token"})
    EXPECT_TRUE(MayBeCalled(ana, own)) << own;
  for (const char* other :
       {"", "bob", "Ana", "an", "example.com", "ana@example", "user-1", "postgres"})
    EXPECT_FALSE(MayBeCalled(ana, other)) << other;
  op::Principal agent;
  agent.subject = "s";
  agent.agent = "agent-refunds";
  EXPECT_TRUE(MayBeCalled(agent, "agent-refunds"));
  EXPECT_FALSE(MayBeCalled(agent, ""));
  agent.name = "@x";
  EXPECT_FALSE(MayBeCalled(agent, ""));
}

TEST(ClientAuthTest, RefusalsSayWhyAndWhatToDo) {
  const Refusal password =
      RefuseToken(Error(Errc::token_expired, "an hour ago"), LoginMethod::password);
  EXPECT_STREQ(password.sqlstate, "28P01");
  EXPECT_EQ(password.detail, "Reason: token-expired: an hour ago.");
  EXPECT_THAT(password.hint, HasSubstr("new access token"));
  EXPECT_STREQ(RefuseToken(Error(Errc::token_expired), LoginMethod::oauthbearer).sqlstate, "28000");
  EXPECT_STREQ(RefuseToken(Error(Errc::identity_provider_down), LoginMethod::password).sqlstate,
               "57P03");
}

}  // namespace
}  // namespace sallyport::pg
