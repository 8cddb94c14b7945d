#include "credential/auth_challenge.h"

#include <gtest/gtest.h>

namespace sallyport::credential {
namespace {

TEST(BearerChallenge, IsReadAmongOthers) {
  const auto found = ReadBearerChallenge(
      R"(Basic realm="a, Bearer scope=\"x\"", Negotiate YWJj/+==, bearer  error="insufficient_scope" , scope="read write", resource_metadata="https://a.example/.well-known/x", DPoP scope="evil")");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->error, "insufficient_scope");
  EXPECT_EQ(found->scope, "read write");
  EXPECT_EQ(found->resource_metadata, "https://a.example/.well-known/x");
}

TEST(BearerChallenge, MayBeBareOrOfTokens) {
  const auto bare = ReadBearerChallenge("Bearer");
  ASSERT_TRUE(bare);
  EXPECT_EQ(bare->error + bare->scope + bare->resource_metadata, "");
  const auto tokens = ReadBearerChallenge("Bearer error=invalid_token,scope=read");
  ASSERT_TRUE(tokens);
  EXPECT_EQ(tokens->error, "invalid_token");
  EXPECT_EQ(tokens->scope, "read");
}

TEST(BearerChallenge, IsNotThereOrNotRead) {
  for (const std::string_view field :
       {"", "Basic realm=\"x\"", "Negotiate abc==", "Bearer scope=\"unfinished",
        "Bearer scope=", "Bearer scope=\"a\" scope=\"b\"", "Bearer scope=\"a\", SCOPE=\"b\"",
        "Bearer error=\"a\nb\"", "\"Bearer\"", "Bearer scope=\"a\"x"})
    EXPECT_FALSE(ReadBearerChallenge(field)) << field;
  EXPECT_FALSE(ReadBearerChallenge("Bearer error=\"" + std::string(9000, 'a') + '"'));
}

TEST(BearerChallenge, AScopeThatIsNoneIsNotSaid) {
  const auto quoted = ReadBearerChallenge(R"(Bearer error="e", scope="a \"b\"")");
  ASSERT_TRUE(quoted);
  EXPECT_EQ(quoted->error, "e");
  EXPECT_EQ(quoted->scope, "");
  const auto longest = ReadBearerChallenge("Bearer scope=\"" + std::string(1025, 'a') + '"');
  ASSERT_TRUE(longest);
  EXPECT_EQ(longest->scope, "");
}

TEST(Scopes, AreSets) {
  EXPECT_TRUE(HoldsScopes("a b c", "c  a"));
  EXPECT_TRUE(HoldsScopes("", ""));
  EXPECT_FALSE(HoldsScopes("ab", "a"));
  EXPECT_EQ(JoinScopes("b a", "a c b c"), "b a c");
}

}  // namespace
}  // namespace sallyport::credential
