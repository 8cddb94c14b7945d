#include "approval/passkey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "approval/authenticator_for_test.h"
#include "json/document.h"

namespace sallyport::approval {
namespace {

using testing::HasSubstr;
using Bend = TestAuthenticator::Bend;

const RelyingParty kGate{.origin = "https://gate.example.com", .id = "gate.example.com"};
const std::string kDigest(64, 'a');
const std::string kChallenge = "Zm9yIHRoaXMgcmVnaXN0cmF0aW9uIG9ubHk";

class PasskeyTest : public testing::TestWithParam<PasskeyAlgorithm> {
 protected:
  PasskeyTest() : device_(GetParam()) {
    auto key = VerifyRegistration(device_.Register(kGate, kChallenge, {}), kGate, kChallenge);
    EXPECT_TRUE(key) << key.error().detail;
    if (key) key_ = *key;
  }
  /// Why an assertion for kDigest and "approve" was refused; empty if it was not.
  std::string Refused(const Assertion& assertion) {
    const auto done = VerifyAssertion(assertion, key_, kGate, VoteChallenge(kDigest, true));
    if (done) return "";
    EXPECT_EQ(done.error().code, Errc::passkey_invalid);
    return done.error().detail;
  }
  Assertion Vote(const Bend& bend = {}) {
    return device_.Assert(kGate, VoteChallenge(kDigest, true), bend);
  }

  TestAuthenticator device_;
  Passkey key_;
};

INSTANTIATE_TEST_SUITE_P(Algorithms, PasskeyTest,
                         testing::Values(PasskeyAlgorithm::es256, PasskeyAlgorithm::eddsa,
                                         PasskeyAlgorithm::rs256));

TEST_P(PasskeyTest, GoodAssertion) {
  EXPECT_EQ(key_.algorithm, GetParam());
  EXPECT_EQ(Refused(Vote()), "");
  EXPECT_EQ(VerifyAssertion(Vote({.counter = 7}), key_, kGate, VoteChallenge(kDigest, true)), 7);
}

TEST_P(PasskeyTest, ForgedOrForeign) {
  const TestAuthenticator other(GetParam());  // the same credential id, another key
  EXPECT_THAT(Refused(other.Assert(kGate, VoteChallenge(kDigest, true), {})),
              HasSubstr("signature does not match"));
  const TestAuthenticator renamed(GetParam(), "another-credential");
  EXPECT_THAT(Refused(renamed.Assert(kGate, VoteChallenge(kDigest, true), {})),
              HasSubstr("credential is another"));
  Assertion bent = Vote();
  bent.signature[20] = bent.signature[20] == 'A' ? 'B' : 'A';
  EXPECT_THAT(Refused(bent), HasSubstr("signature does not match"));
  bent = Vote({.counter = 1});
  bent.authenticator_data = Vote({.counter = 2}).authenticator_data;
  EXPECT_THAT(Refused(bent), HasSubstr("signature does not match"));
  bent = Vote();
  bent.signature.clear();
  EXPECT_THAT(Refused(bent), HasSubstr("signature is not base64url"));
}

TEST_P(PasskeyTest, OfAnotherRequestOrDecision) {
  EXPECT_THAT(Refused(device_.Assert(kGate, VoteChallenge(std::string(64, 'b'), true), {})),
              HasSubstr("challenge"));
  EXPECT_THAT(Refused(device_.Assert(kGate, VoteChallenge(kDigest, false), {})),
              HasSubstr("challenge"));
  // The client data of this request under the signature of another one.
  Assertion mixed = device_.Assert(kGate, VoteChallenge(std::string(64, 'b'), true), {});
  mixed.client_data = Vote().client_data;
  EXPECT_THAT(Refused(mixed), HasSubstr("signature does not match"));
}

TEST_P(PasskeyTest, OtherPageOrParty) {
  EXPECT_THAT(Refused(Vote({.origin = "https://gate.example.com.evil.example"})),
              HasSubstr("origin"));
  EXPECT_THAT(Refused(Vote({.origin = "http://gate.example.com"})), HasSubstr("origin"));
  EXPECT_THAT(Refused(Vote({.rp_id = "example.com"})), HasSubstr("relying party"));
  EXPECT_THAT(Refused(Vote({.extra = R"(,"crossOrigin":true)"})), HasSubstr("frame"));
  EXPECT_THAT(Refused(Vote({.extra = R"(,"topOrigin":"https://evil.example")"})),
              HasSubstr("frame"));
  EXPECT_THAT(Refused(Vote({.type = "webauthn.create"})), HasSubstr("another ceremony"));
  EXPECT_THAT(Refused(Vote({.extra = R"(,"origin":"https://gate.example.com")"})),
              HasSubstr("not JSON"));  // a duplicate key
}

TEST_P(PasskeyTest, PresenceAndVerification) {
  EXPECT_THAT(Refused(Vote({.flags = 0x01})), HasSubstr("not verified"));
  EXPECT_THAT(Refused(Vote({.flags = 0x04})), HasSubstr("nobody was present"));
  const auto unverified =
      VerifyRegistration(device_.Register(kGate, kChallenge, {.flags = 0x01}), kGate, kChallenge);
  ASSERT_FALSE(unverified);
  EXPECT_THAT(unverified.error().detail, HasSubstr("not verified"));
}

TEST_P(PasskeyTest, ReplayMovesNoCounter) {
  key_.sign_count = 7;
  EXPECT_EQ(Refused(Vote({.counter = 8})), "");
  EXPECT_THAT(Refused(Vote({.counter = 7})), HasSubstr("counter"));
  EXPECT_THAT(Refused(Vote({.counter = 6})), HasSubstr("counter"));
  EXPECT_THAT(Refused(Vote({.counter = 0})), HasSubstr("counter"));
}

TEST_P(PasskeyTest, RegistrationIsForItsChallenge) {
  const auto registration = device_.Register(kGate, kChallenge, {});
  EXPECT_FALSE(VerifyRegistration(registration, kGate, "b3RoZXI"));
  EXPECT_FALSE(VerifyRegistration(device_.Register(kGate, kChallenge, {.rp_id = "evil.example"}),
                                  kGate, kChallenge));
  EXPECT_FALSE(VerifyRegistration(
      device_.Register(kGate, kChallenge, {.origin = "https://evil.example"}), kGate, kChallenge));
  EXPECT_FALSE(VerifyRegistration(device_.Register(kGate, kChallenge, {.type = "webauthn.get"}),
                                  kGate, kChallenge));
  // Every cut of the authenticator data, and a byte more, is refused and breaks nothing.
  const auto whole = Base64UrlDecode(registration.authenticator_data).value();
  for (size_t n = 0; n < whole.size(); ++n) {
    EXPECT_FALSE(VerifyRegistration(
        {registration.client_data, Base64UrlEncode(ByteView(whole).first(n))}, kGate, kChallenge))
        << n;
  }
}

TEST_P(PasskeyTest, ProofOutOfTheLog) {
  key_.entry = 41;
  const std::string proof = ProofJson(Vote(), key_, kGate);
  ASSERT_TRUE(json::Document::Parse(proof));
  const auto checked = CheckProof(proof, kDigest, true);
  ASSERT_TRUE(checked) << checked.error().detail;
  EXPECT_EQ(checked->registered, 41);
  EXPECT_EQ(checked->credential, key_.id);
  EXPECT_FALSE(CheckProof(proof, kDigest, false));
  EXPECT_FALSE(CheckProof(proof, std::string(64, 'b'), true));
  const TestAuthenticator other(GetParam());
  const auto key = VerifyRegistration(other.Register(kGate, kChallenge, {}), kGate, kChallenge);
  std::string swapped = proof;
  swapped.replace(swapped.find(key_.public_key), key_.public_key.size(), key->public_key);
  EXPECT_FALSE(CheckProof(swapped, kDigest, true));
  EXPECT_FALSE(CheckProof("{}", kDigest, true));
  EXPECT_FALSE(CheckProof("", kDigest, true));
}

TEST(RelyingParty, OfThePublicUrl) {
  EXPECT_EQ(RelyingPartyOf("https://gate.example.com/")->origin, "https://gate.example.com");
  EXPECT_EQ(RelyingPartyOf("https://gate.example.com:443")->origin, "https://gate.example.com");
  EXPECT_EQ(RelyingPartyOf("https://gate.example.com:8443")->origin,
            "https://gate.example.com:8443");
  EXPECT_EQ(RelyingPartyOf("http://localhost:7300/x")->id, "localhost");
  EXPECT_FALSE(RelyingPartyOf("http://127.0.0.1:7300"));
  EXPECT_FALSE(RelyingPartyOf("https://[::1]:7300"));
  EXPECT_FALSE(RelyingPartyOf("ftp://gate.example.com"));
}

TEST(VoteChallenge, KnownAnswer) {
  // printf 'sallyport-approval-v1\n%s\napprove\n' aaa…a | openssl dgst -sha256 -binary | basenc
  // --base64url
  EXPECT_EQ(VoteChallenge(kDigest, true), "2PU7uKtEC4MPIigPRPNw3UFIxl39Cq_T1mJMB1hrDdw");
  EXPECT_NE(VoteChallenge(kDigest, false), VoteChallenge(kDigest, true));
}

}  // namespace
}  // namespace sallyport::approval
