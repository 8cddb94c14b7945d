#include "saml/logout.h"

#include <gtest/gtest.h>

namespace sallyport::saml {
namespace {

constexpr Nanos kNow = 1'795'196'790'000'000'000;  // 2026-11-20T17:46:30Z

LogoutExpected Here() {
  return {.issuer = "https://idp.test",
          .keys = {},
          .signed_beside = true,
          .destination = "https://gate.test/login/saml/logout",
          .now = kNow};
}

std::string Message(const std::string& name, const std::string& attributes,
                    const std::string& body) {
  return "<p:" + name +
         " xmlns:p=\"urn:oasis:names:tc:SAML:2.0:protocol\" "
         "xmlns:a=\"urn:oasis:names:tc:SAML:2.0:assertion\" ID=\"_1\" Version=\"2.0\" "
         "Destination=\"https://gate.test/login/saml/logout\"" +
         attributes + "><a:Issuer>https://idp.test</a:Issuer>" + body + "</p:" + name + ">";
}

const std::string kSent = " IssueInstant=\"2026-11-20T17:46:28Z\"";
const std::string kTess = "<a:NameID>tess</a:NameID>";

Errc Refusal(const std::string& xml, const LogoutExpected& expected = Here()) {
  const auto read = ReadLogout(xml, expected);
  EXPECT_FALSE(read) << xml;
  return read ? Errc::internal : read.error().code;
}

TEST(Logout, ARequestNamesThePersonAndTheirSessions) {
  const auto read = ReadLogout(
      Message("LogoutRequest", kSent,
              kTess + "<p:SessionIndex>_s1</p:SessionIndex><p:SessionIndex>_s2</p:SessionIndex>"),
      Here());
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_TRUE(read->request);
  EXPECT_EQ(read->name_id, "tess");
  EXPECT_EQ(read->sessions, (std::vector<std::string>{"_s1", "_s2"}));
}

TEST(Logout, AnAnswerSaysWhetherAllHaveEnded) {
  const std::string answered = kSent + " InResponseTo=\"_9\"";
  const std::string good = "<p:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Success\"/>";
  auto read =
      ReadLogout(Message("LogoutResponse", answered, "<p:Status>" + good + "</p:Status>"), Here());
  ASSERT_TRUE(read) << read.error().detail;
  EXPECT_TRUE(!read->request && read->success && read->in_response_to == "_9");
  read = ReadLogout(
      Message("LogoutResponse", answered,
              "<p:Status><p:StatusCode Value=\"urn:oasis:names:tc:SAML:2.0:status:Responder\"/>"
              "</p:Status>"),
      Here());
  ASSERT_TRUE(read);
  EXPECT_FALSE(read->success);
}

TEST(Logout, OnlyFromTheProviderForThisPlaceAndOfNow) {
  const std::string good = Message("LogoutRequest", kSent, kTess);
  LogoutExpected here = Here();
  here.issuer = "https://other.test";
  EXPECT_EQ(Refusal(good, here), Errc::token_issuer_unknown);
  here = Here(), here.destination += "/";
  EXPECT_EQ(Refusal(good, here), Errc::token_audience_wrong);
  here = Here(), here.now += Nanos(400) * 1'000'000'000;
  EXPECT_EQ(Refusal(good, here), Errc::token_expired);
  here = Here(), here.now -= Nanos(100) * 1'000'000'000;
  EXPECT_EQ(Refusal(good, here), Errc::token_not_yet_valid);
  EXPECT_EQ(
      Refusal(Message("LogoutRequest", kSent + " NotOnOrAfter=\"2026-11-20T17:40:00Z\"", kTess)),
      Errc::token_expired);
}

TEST(Logout, NothingElseIsTaken) {
  EXPECT_EQ(Refusal(Message("LogoutRequest", "", kTess)), Errc::token_malformed);
  EXPECT_EQ(Refusal(Message("LogoutRequest", kSent, "")), Errc::token_malformed);
  EXPECT_EQ(Refusal(Message("LogoutRequest", kSent, kTess + kTess)), Errc::token_malformed);
  EXPECT_EQ(Refusal(Message("LogoutRequest", kSent, "<a:EncryptedID/>")), Errc::token_malformed);
  EXPECT_EQ(Refusal(Message("LogoutRequest", kSent, kTess + "<p:Status/>")), Errc::token_malformed);
  EXPECT_EQ(Refusal(Message("AuthnRequest", kSent, kTess)), Errc::token_malformed);
  EXPECT_EQ(Refusal("<!DOCTYPE a><a/>"), Errc::token_malformed);
  LogoutExpected unsigned_one = Here();
  unsigned_one.signed_beside = false;
  EXPECT_EQ(Refusal(Message("LogoutRequest", kSent, kTess), unsigned_one), Errc::token_malformed);
}

}  // namespace
}  // namespace sallyport::saml
