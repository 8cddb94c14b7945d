#include "credential/aws_keys.h"

#include <gtest/gtest.h>

namespace sallyport::credential {
namespace {

constexpr std::string_view kFile =
    "# ours\r\n; theirs\n[default]\naws_access_key_id = AKIA1\naws_secret_access_key=a=b+/c==\n"
    "region = x\n\n[ gate ]\naws_access_key_id\t=\tAKIA2\r\naws_secret_access_key = two\n"
    "aws_session_token = token\n[empty]\naws_access_key_id = AKIA3\n";

TEST(SharedCredentials, ReadsOneProfile) {
  const auto one = ReadSharedCredentials(kFile, "default");
  ASSERT_TRUE(one);
  EXPECT_EQ(one->id, "AKIA1");
  EXPECT_EQ(one->secret.Reveal(), "a=b+/c==");
  EXPECT_TRUE(one->session_token.empty());
  const auto two = ReadSharedCredentials(kFile, "gate");
  ASSERT_TRUE(two);
  EXPECT_EQ(two->id, "AKIA2");
  EXPECT_EQ(two->secret.Reveal(), "two");
  EXPECT_EQ(two->session_token.Reveal(), "token");
}

TEST(SharedCredentials, SaysWhatIsMissing) {
  EXPECT_EQ(ReadSharedCredentials(kFile, "other").error().detail, "there is no profile [other]");
  EXPECT_EQ(ReadSharedCredentials(kFile, "empty").error().code, Errc::upstream_credential_failed);
  EXPECT_FALSE(ReadSharedCredentials("", "default"));
}

std::string Answer(std::string_view id, std::string_view secret, std::string_view token,
                   std::string_view end) {
  return "<A><SubjectFromWebIdentityToken>x</"
         "SubjectFromWebIdentityToken><Credentials><AccessKeyId>" +
         std::string(id) + "</AccessKeyId><SecretAccessKey>" + std::string(secret) +
         "</SecretAccessKey><SessionToken>" + std::string(token) + "</SessionToken><Expiration>" +
         std::string(end) + "</Expiration></Credentials></A>";
}

TEST(AssumedRole, ReadsTheKeyAndItsEnd) {
  Nanos end = 0;
  const auto key =
      ReadAssumedRole(Answer("ASIA1", "a/b+c=", "IQo//=", "2026-11-22T02:00:00Z"), end);
  ASSERT_TRUE(key);
  EXPECT_EQ(key->id, "ASIA1");
  EXPECT_EQ(key->secret.Reveal(), "a/b+c=");
  EXPECT_EQ(key->session_token.Reveal(), "IQo//=");
  EXPECT_EQ(end, Nanos(1'795'312'800) * 1'000'000'000);
  EXPECT_TRUE(ReadAssumedRole(Answer("A", "b", "c", "2026-11-22T02:00:00.5Z"), end));
}

TEST(AssumedRole, RefusesWhatIsNoneOrTwoOfThem) {
  Nanos end = 0;
  const std::string good = Answer("ASIA1", "s", "t", "2026-11-22T02:00:00Z");
  EXPECT_FALSE(ReadAssumedRole("", end));
  EXPECT_FALSE(ReadAssumedRole(good + good, end));
  EXPECT_FALSE(ReadAssumedRole(good.substr(0, good.size() - 20), end));
  EXPECT_FALSE(ReadAssumedRole(Answer("", "s", "t", "2026-11-22T02:00:00Z"), end));
  EXPECT_FALSE(ReadAssumedRole(Answer("A", "s\r\nX: y", "t", "2026-11-22T02:00:00Z"), end));
  EXPECT_FALSE(ReadAssumedRole(Answer("A", "s&amp;", "t", "2026-11-22T02:00:00Z"), end));
  EXPECT_FALSE(ReadAssumedRole(Answer("A", "s", "t", "tomorrow"), end));
  EXPECT_FALSE(ReadAssumedRole(Answer("A", "s", "t", "2026-11-22T02:00:00+01:00"), end));
}

}  // namespace
}  // namespace sallyport::credential
