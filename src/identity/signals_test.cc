#include "identity/signals.h"

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "identity/test_idp.h"
#include "identity/transmitters.h"

namespace sallyport::identity {
namespace {

using nlohmann::json;
using test::Corp;
using test::kIat;
using test::kSecond;

constexpr const char* kCaep = "https://schemas.openid.net/secevent/caep/event-type/";
constexpr const char* kRisc = "https://schemas.openid.net/secevent/risc/event-type/";
constexpr Nanos kNow = (kIat + 10) * kSecond;

const Signer& Key() {
  static const Signer key = *Signer::Generate(Alg::es256, "k");
  return key;
}

std::string Sign(const json& claims, const char* typ) { return *Key().Sign(claims.dump(), typ); }

// --- the request to revoke ---------------------------------------------------------------------

json Request() {
  return {{"iss", "https://idp"}, {"aud", "https://gate/global-token-revocation"},
          {"sub", "app"},         {"iat", kIat},
          {"exp", kIat + 300},    {"jti", "one"}};
}

Result<RevocationToken> Judge(const json& claims, const char* typ = "global-token-revocation+jwt") {
  const std::string token = Sign(claims, typ);
  const auto jws = ParseJws(token);
  if (!jws) return std::unexpected(jws.error());
  return CheckRevocationToken(*jws, Corp(), {"https://gate/global-token-revocation"}, kNow);
}

Errc Refused(const json& claims, const char* typ = "global-token-revocation+jwt") {
  const auto verdict = Judge(claims, typ);
  return verdict ? Errc::internal : verdict.error().code;
}

json With(json claims, const char* name, const json& value) {
  claims[name] = value;
  return claims;
}

json Without(json claims, const char* name) {
  claims.erase(name);
  return claims;
}

TEST(RevocationToken, AGoodOneIsAccepted) {
  const auto good = Judge(Request());
  ASSERT_TRUE(good) << good.error().detail;
  EXPECT_EQ(good->issuer, "https://idp");
  EXPECT_EQ(good->token_id, "one");
  EXPECT_EQ(good->expires_at, (kIat + 360) * kSecond);
  EXPECT_TRUE(Judge(With(Request(), "aud", json::array({"https://gate/global-token-revocation"}))));
}

TEST(RevocationToken, WhatTheProviderSignsForPeopleIsNone) {
  for (const char* typ : {"JWT", "at+jwt", "logout+jwt", "secevent+jwt"})
    EXPECT_EQ(Refused(Request(), typ), Errc::token_type_wrong) << typ;
  EXPECT_EQ(Refused(With(Request(), "events", json::object())), Errc::token_type_wrong);
}

TEST(RevocationToken, EachClaimIsJudged) {
  EXPECT_EQ(Refused(With(Request(), "iss", "https://other")), Errc::token_issuer_unknown);
  EXPECT_EQ(Refused(With(Request(), "aud", "https://gate")), Errc::token_audience_wrong);
  EXPECT_EQ(Refused(With(Request(), "aud",
                         json::array({"https://gate/global-token-revocation", "https://another"}))),
            Errc::token_audience_wrong);
  EXPECT_EQ(Refused(Without(Request(), "aud")), Errc::token_audience_wrong);
  for (const char* name : {"iat", "exp", "jti"})
    EXPECT_EQ(Refused(Without(Request(), name)), Errc::token_claims_invalid) << name;
  EXPECT_EQ(Refused(With(Request(), "exp", kIat + 901)), Errc::token_claims_invalid);
  EXPECT_EQ(Refused(With(Request(), "exp", kIat)), Errc::token_claims_invalid);
  EXPECT_EQ(Refused(With(With(Request(), "iat", kIat - 500), "exp", kIat - 100)),
            Errc::token_expired);
  EXPECT_EQ(Refused(With(With(Request(), "iat", kIat + 100), "exp", kIat + 200)),
            Errc::token_not_yet_valid);
  EXPECT_EQ(Refused(With(Request(), "nbf", kIat + 100)), Errc::token_not_yet_valid);
}

Errc RefusedBody(const std::string& body) {
  const auto read = ReadRevocationBody(body, "https://idp");
  return read ? Errc::internal : read.error().code;
}

TEST(RevocationBody, NamesOneOfTheProvidersOwn) {
  const auto by_subject = ReadRevocationBody(
      R"({"sub_id":{"format":"iss_sub","iss":"https://idp","sub":"alice"}})", "https://idp");
  ASSERT_TRUE(by_subject);
  EXPECT_EQ(by_subject->subject, "alice");
  const auto by_email =
      ReadRevocationBody(R"({"sub_id":{"format":"email","email":"a@b"}})", "https://idp");
  ASSERT_TRUE(by_email);
  EXPECT_EQ(by_email->email, "a@b");
  const auto opaque =
      ReadRevocationBody(R"({"sub_id":{"format":"opaque","id":"alice"}})", "https://idp");
  ASSERT_TRUE(opaque);
  EXPECT_EQ(opaque->subject, "alice");
  EXPECT_EQ(RefusedBody(R"({"sub_id":{"format":"iss_sub","iss":"https://other","sub":"alice"}})"),
            Errc::identity_mismatch);
}

TEST(RevocationBody, IsReadStrictly) {
  for (const char* body :
       {"", "[]", "{}", R"({"sub_id":"alice"})", R"({"sub_id":{}})",
        R"({"sub_id":{"format":"phone_number","phone_number":"+1"}})",
        R"({"sub_id":{"format":"iss_sub","sub":"alice"}})",
        R"({"sub_id":{"format":"iss_sub","iss":"https://idp","sub":""}})",
        R"({"sub_id":{"format":"iss_sub","iss":"https://idp","sub":7}})",
        R"({"sub_id":{"format":"opaque","id":"a\u0000"}})",
        R"({"sub_id":{"format":"complex","session":{"format":"opaque","id":"s"}}})",
        R"({"subject":{"format":"opaque","id":"alice"}})"})
    EXPECT_EQ(RefusedBody(body), Errc::request_malformed) << body;
  EXPECT_EQ(RefusedBody(R"({"sub_id":{"format":"opaque","id":"a","id":"b"}})"),
            Errc::request_duplicate_key);
  EXPECT_EQ(
      RefusedBody(R"({"sub_id":{"format":"opaque","id":")" + std::string(20'000, 'a') + "\"}}"),
      Errc::request_too_large);
}

// --- security events ---------------------------------------------------------------------------

const Transmitter& Ssf() {
  static const Transmitter t{.provider = "corp",
                             .subject_issuer = "https://idp",
                             .issuer = "https://ssf",
                             .audiences = {"https://gate"}};
  return t;
}

json Event(const std::string& type, json payload = json::object()) {
  return {{"iss", "https://ssf"},
          {"aud", "https://gate"},
          {"iat", kIat},
          {"jti", "e1"},
          {"sub_id", {{"format", "iss_sub"}, {"iss", "https://idp"}, {"sub", "alice"}}},
          {"events", {{type, payload}}}};
}

Result<SecEvent> Read(const json& claims, const char* typ = "secevent+jwt") {
  const std::string token = Sign(claims, typ);
  const auto jws = ParseJws(token);
  if (!jws) return std::unexpected(jws.error());
  return CheckSecEvent(*jws, Ssf(), kNow);
}

Errc RefusedEvent(const json& claims, const char* typ = "secevent+jwt") {
  const auto verdict = Read(claims, typ);
  return verdict ? Errc::internal : verdict.error().code;
}

SignalEffect EffectOf(const std::string& type, json payload = json::object()) {
  const auto read = Read(Event(type, std::move(payload)));
  EXPECT_TRUE(read) << type;
  return read ? read->signals.at(0).effect : SignalEffect::unknown;
}

TEST(SecEvents, WhatEachAsksFor) {
  EXPECT_EQ(EffectOf(kCaep + std::string("session-revoked")), SignalEffect::end_session);
  for (const char* name : {"account-disabled", "account-purged", "credential-compromise",
                           "sessions-revoked", "identifier-recycled"})
    EXPECT_EQ(EffectOf(kRisc + std::string(name)), SignalEffect::end_person) << name;
  EXPECT_EQ(EffectOf(kRisc + std::string("account-enabled")), SignalEffect::nothing);
  EXPECT_EQ(EffectOf("https://example.com/made-up"), SignalEffect::unknown);
  // Of the other family, or with something behind it, it is another one.
  EXPECT_EQ(EffectOf(kCaep + std::string("account-disabled")), SignalEffect::unknown);
  EXPECT_EQ(EffectOf(kCaep + std::string("session-revoked/")), SignalEffect::unknown);
}

TEST(SecEvents, WhatThePayloadChanges) {
  const std::string change = kCaep + std::string("credential-change");
  EXPECT_EQ(EffectOf(change, {{"change_type", "create"}}), SignalEffect::nothing);
  for (const json& type :
       {json("revoke"), json("update"), json("delete"), json("new word"), json()})
    EXPECT_EQ(EffectOf(change, {{"change_type", type}}), SignalEffect::end_person) << type;
  const std::string device = kCaep + std::string("device-compliance-change");
  EXPECT_EQ(EffectOf(device, {{"current_status", "compliant"}}), SignalEffect::nothing);
  EXPECT_EQ(EffectOf(device, {{"current_status", "not-compliant"}}), SignalEffect::end_person);
  EXPECT_EQ(EffectOf(device), SignalEffect::end_person);
}

TEST(SecEvents, SubjectsInsideOrBesideTheEvent) {
  const std::string type = kCaep + std::string("session-revoked");
  const json inner{{"format", "opaque"}, {"id", "bob"}};
  auto read = Read(Without(Event(type, {{"subject", inner}}), "sub_id"));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->signals.at(0).subject->subject, "bob");
  EXPECT_EQ(RefusedEvent(Event(type, {{"subject", inner}})), Errc::request_malformed);
  EXPECT_EQ(RefusedEvent(Without(Event(type), "sub_id")), Errc::request_malformed);
  read = Read(With(Event(type), "sub_id",
                   {{"format", "complex"},
                    {"user", {{"format", "iss_sub"}, {"iss", "https://idp"}, {"sub", "alice"}}},
                    {"session", {{"format", "opaque"}, {"id", "sid-1"}}}}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->signals.at(0).subject->subject, "alice");
  EXPECT_EQ(read->signals.at(0).subject->sid, "sid-1");
  read = Read(With(Event(type), "sub_id",
                   {{"format", "complex"}, {"device", {{"format", "opaque"}, {"id", "d"}}}}));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->signals.at(0).effect, SignalEffect::nothing);
  EXPECT_EQ(RefusedEvent(With(Event(type), "sub_id",
                              {{"format", "iss_sub"}, {"iss", "https://other"}, {"sub", "a"}})),
            Errc::identity_mismatch);
}

TEST(SecEvents, EachClaimIsJudged) {
  const std::string type = kRisc + std::string("account-disabled");
  for (const char* typ : {"JWT", "logout+jwt", "at+jwt", "global-token-revocation+jwt"})
    EXPECT_EQ(RefusedEvent(Event(type), typ), Errc::token_type_wrong) << typ;
  EXPECT_EQ(RefusedEvent(With(Event(type), "iss", "https://idp")), Errc::token_issuer_unknown);
  EXPECT_EQ(RefusedEvent(With(Event(type), "aud", "https://other")), Errc::token_audience_wrong);
  EXPECT_EQ(RefusedEvent(With(Event(type), "exp", kIat + 60)), Errc::token_claims_invalid);
  EXPECT_EQ(RefusedEvent(With(Event(type), "sub", "alice")), Errc::token_claims_invalid);
  EXPECT_EQ(RefusedEvent(With(Event(type), "iat", kIat + 600)), Errc::token_not_yet_valid);
  for (const char* name : {"iat", "jti", "events"})
    EXPECT_EQ(RefusedEvent(Without(Event(type), name)), Errc::token_claims_invalid) << name;
  EXPECT_EQ(RefusedEvent(With(Event(type), "events", json::object())), Errc::token_claims_invalid);
  EXPECT_EQ(RefusedEvent(With(Event(type), "events", {{type, "x"}})), Errc::token_claims_invalid);
  const auto old = Read(With(Event(type), "iat", kIat - 27 * 3600));
  ASSERT_TRUE(old);
  EXPECT_TRUE(old->too_old);
}

TEST(Transmitters, OnlyTheTransmittersOwnKeysCount) {
  test::FakeClock clock;
  test::FakeIdp idp("https://ssf");
  idp.Serve("/.well-known/ssf-configuration",
            R"({"issuer":"https://ssf","jwks_uri":"https://ssf/jwks"})");
  idp.ServeKeys({Key().PublicJwk()});
  ProviderConfig keys;
  keys.name = "corp/ssf";
  keys.issuer = "https://ssf";
  auto made = Transmitters::Create({{.who = Ssf(), .keys = keys}}, idp.fetch(), clock, {});
  ASSERT_TRUE(made) << made.error().detail;
  EXPECT_TRUE((*made)->FetchDue());
  const json good = Event(kRisc + std::string("account-disabled"));
  EXPECT_TRUE((*made)->Judge("corp", Sign(good, "secevent+jwt"), nullptr));
  const Signer other = *Signer::Generate(Alg::es256, "k");
  const auto forged = (*made)->Judge("corp", *other.Sign(good.dump(), "secevent+jwt"), nullptr);
  ASSERT_FALSE(forged);
  EXPECT_EQ(forged.error().code, Errc::token_signature_invalid);
  EXPECT_EQ((*made)->Judge("other", Sign(good, "secevent+jwt"), nullptr).error().code,
            Errc::not_found);
}

}  // namespace
}  // namespace sallyport::identity
