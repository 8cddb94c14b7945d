#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <iterator>
#include <regex>

#include "base/bytes.h"
#include "saml/key.h"
#include "saml/metadata.h"
#include "saml/response.h"

namespace sallyport::saml {
namespace {

const std::filesystem::path kData = std::filesystem::path(SALLYPORT_TESTDATA) / "saml";
constexpr Nanos kThen = 1'795'196'790'000'000'000;  // two seconds after the genuine response

std::string Read(const std::string& name) {
  std::ifstream file(kData / name, std::ios::binary);
  std::string text((std::istreambuf_iterator<char>(file)), {});
  while (text.ends_with('\n')) text.pop_back();
  return text;
}

std::string Document(const std::string& name) {
  const auto bytes = Base64Decode(Read(name));
  return bytes ? std::string(AsText(*bytes)) : "";
}

std::string Certificate() {
  static const std::regex kFrame("-----[A-Z ]+-----|\\s");
  const auto der = Base64Decode(std::regex_replace(Read("idp.crt"), kFrame, ""));
  return std::string(AsText(*der));
}

/// What the genuine response was an answer to.
Expected Asked() {
  return {.issuer = "http://127.0.0.1:3910/idp",
          .keys = {KeyOfCertificate(Certificate())},
          .audience = "http://127.0.0.1:8443/saml/metadata",
          .acs = "http://127.0.0.1:8443/saml/acs",
          .request_id = "_7A8DCC708FB7433CFD330B059CCE32A4",
          .now = kThen};
}

Errc Refusal(const std::string& xml, const Expected& expected) {
  const auto verdict = VerifyResponse(xml, expected);
  EXPECT_FALSE(verdict);
  return verdict ? Errc::internal : verdict.error().code;
}

TEST(Response, TheGenuineOneIsAcceptedWithEitherSignature) {
  for (const char* name : {"resp.b64", "a_only.b64"}) {
    const auto verdict = VerifyResponse(Document(name), Asked());
    ASSERT_TRUE(verdict) << name << ": " << verdict.error().detail;
    EXPECT_EQ(verdict->name_id.value, "alice@example.test");
    EXPECT_EQ(verdict->attributes.at("groups"), (std::vector<std::string>{"dba", "dev"}));
    EXPECT_EQ(verdict->context, "urn:oasis:names:tc:SAML:2.0:ac:classes:Password");
  }
}

TEST(Response, EveryAttackOfTheCorpusIsRefused) {
  size_t count = 0;
  for (const auto& entry : std::filesystem::directory_iterator(kData)) {
    const std::string name = entry.path().filename();
    if (!name.ends_with(".b64") || name == "resp.b64" || name == "a_only.b64") continue;
    const Errc code = Refusal(Document(name), Asked());
    EXPECT_TRUE(code == Errc::token_malformed || code == Errc::token_signature_invalid) << name;
    ++count;
  }
  EXPECT_EQ(count, 10u);
}

TEST(Response, AnswersOnlyWhatWasAsked) {
  const std::string xml = Document("resp.b64");
  Expected asked = Asked();
  asked.request_id += "0";
  EXPECT_EQ(Refusal(xml, asked), Errc::state_invalid);
  asked = Asked(), asked.acs += "/";
  EXPECT_EQ(Refusal(xml, asked), Errc::token_audience_wrong);
  asked = Asked(), asked.audience += "/";
  EXPECT_EQ(Refusal(xml, asked), Errc::token_audience_wrong);
  asked = Asked(), asked.issuer += "/";
  EXPECT_EQ(Refusal(xml, asked), Errc::token_issuer_unknown);
  asked = Asked(), asked.keys.clear();
  EXPECT_EQ(Refusal(xml, asked), Errc::token_signature_invalid);
}

TEST(Response, TheClockMayBeAMinuteOff) {
  const std::string xml = Document("resp.b64");
  const auto at = [&](int seconds) {
    Expected asked = Asked();
    asked.now = kThen - 2'000'000'000 + Nanos(seconds) * 1'000'000'000;  // from IssueInstant
    return VerifyResponse(xml, asked);
  };
  EXPECT_TRUE(at(300 + 59));
  EXPECT_EQ(at(300 + 60).error().code, Errc::token_expired);
  EXPECT_TRUE(at(-59));
  EXPECT_EQ(at(-61).error().code, Errc::token_not_yet_valid);
}

std::string Metadata(const std::string& more,
                     const std::string& location = "https://idp.test/sso") {
  const std::string certificate = Base64Encode(AsBytes(Certificate()));
  return "<md:EntityDescriptor xmlns:md=\"urn:oasis:names:tc:SAML:2.0:metadata\" "
         "xmlns:ds=\"http://www.w3.org/2000/09/xmldsig#\" entityID=\"https://idp.test\"" +
         more +
         "><!-- by hand --><md:IDPSSODescriptor "
         "protocolSupportEnumeration=\"urn:oasis:names:tc:SAML:2.0:protocol\">"
         "<md:KeyDescriptor use=\"signing\"><ds:KeyInfo><ds:X509Data><ds:X509Certificate>\n" +
         certificate +
         "\n</ds:X509Certificate></ds:X509Data></ds:KeyInfo></md:KeyDescriptor>"
         "<md:SingleSignOnService "
         "Binding=\"urn:oasis:names:tc:SAML:2.0:bindings:HTTP-Redirect\" Location=\"" +
         location + "\"/></md:IDPSSODescriptor></md:EntityDescriptor>\n";
}

TEST(Metadata, IsRead) {
  const auto found = ReadMetadata(Metadata(" validUntil=\"2027-01-01T00:00:00Z\""), kThen);
  ASSERT_TRUE(found) << found.error().detail;
  EXPECT_EQ(found->entity_id, "https://idp.test");
  EXPECT_EQ(found->sso_url, "https://idp.test/sso");
  EXPECT_EQ(found->keys, Asked().keys);
}

TEST(Metadata, WhatCannotBeTrustedIsRefused) {
  const auto refusal = [](const std::string& xml) { return ReadMetadata(xml, kThen).error().code; };
  EXPECT_EQ(refusal(Metadata(" validUntil=\"2026-01-01T00:00:00Z\"")), Errc::token_expired);
  EXPECT_EQ(refusal("<!DOCTYPE x>" + Metadata("")), Errc::token_malformed);
  for (const char* url : {"http://idp.test/sso", "javascript:alert(1)", "https:///x",
                          "http://127.0.0.1@evil.test/", "https://idp.test/#x"})
    EXPECT_EQ(refusal(Metadata("", url)), Errc::token_malformed) << url;
  std::string no_key = Metadata("");
  no_key.replace(no_key.find("signing"), 7, "encryption");
  EXPECT_EQ(refusal(no_key), Errc::token_key_unknown);
}

}  // namespace
}  // namespace sallyport::saml
