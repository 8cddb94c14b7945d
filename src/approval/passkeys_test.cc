#include "approval/passkeys.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>

#include "approval/authenticator_for_test.h"
#include "approval/desk_for_test.h"

namespace sallyport::approval {
namespace {

const RelyingParty kGate{.origin = "https://gate.example", .id = "gate.example"};
const std::string kDigest(64, 'd');

class PasskeysTest : public DeskFixture {
 protected:
  void SetUp() override {
    DeskFixture::SetUp();
    Open();
  }
  void TearDown() override {
    passkeys_.reset();
    DeskFixture::TearDown();
  }
  /// As after a restart; damaged: the state cannot be read.
  void Open(bool damaged = false) {
    passkeys_.reset();
    Stop();
    auto db = state::Database::Open(dir_ / "state.db");
    ASSERT_TRUE(db);
    ASSERT_TRUE(Passkeys::Migrate(**db));
    writer_ = damaged ? std::make_unique<state::Writer>(Fail(Errc::state_unavailable, "damaged"))
                      : std::make_unique<state::Writer>(std::move(db));
    passkeys_ = std::make_unique<Passkeys>(
        *writer_, log_.recorder(), "https://gate.example/",
        [this](std::string_view text) { return options_.mask(text, false); }, clock_);
  }
  Result<Passkey> Register(const op::Principal& who, const TestAuthenticator& device) {
    const std::string challenge = passkeys_->Challenge(who);
    return Run(passkeys_->Register(who, "phone", device.Register(kGate, challenge, {})));
  }
  Result<std::string> Confirm(const op::Principal& who, const TestAuthenticator& device,
                              uint32_t counter = 0, bool approve = true) {
    return Run(passkeys_->Confirm(
        who, kDigest, true,
        device.Assert(kGate, VoteChallenge(kDigest, approve), {.counter = counter})));
  }

  const op::Principal lead_ = Lead("lea"), other_ = Lead("luc");
  const TestAuthenticator device_{PasskeyAlgorithm::es256};
  std::unique_ptr<Passkeys> passkeys_;
};

TEST_F(PasskeysTest, RegisteredRecordedAndThereAfterARestart) {
  const auto key = Register(lead_, device_);
  ASSERT_TRUE(key) << key.error().detail;
  EXPECT_EQ(log_.Count("passkey.registered"), 1u);
  EXPECT_EQ(log_.lines().at(key->entry).by, "lea");
  Open();
  ASSERT_EQ(passkeys_->Of(lead_).size(), 1u);
  EXPECT_EQ(passkeys_->Of(lead_)[0].public_key, key->public_key);
  EXPECT_EQ(passkeys_->Of(lead_)[0].name, "phone");
  const auto proof = Confirm(lead_, device_);
  ASSERT_TRUE(proof) << proof.error().detail;
  const auto checked = CheckProof(*proof, kDigest, true);
  ASSERT_TRUE(checked);
  EXPECT_EQ(checked->registered, key->entry);
}

TEST_F(PasskeysTest, AChallengeIsOfOnePersonForOneAttemptAndFiveMinutes) {
  const std::string challenge = passkeys_->Challenge(lead_);
  const Registration made = device_.Register(kGate, challenge, {});
  EXPECT_EQ(Code(Run(passkeys_->Register(other_, "x", made))), Errc::passkey_invalid);
  (void)passkeys_->Challenge(other_);
  EXPECT_EQ(Code(Run(passkeys_->Register(other_, "x", made))), Errc::passkey_invalid);
  EXPECT_TRUE(Run(passkeys_->Register(lead_, "x", made)));
  EXPECT_EQ(Code(Run(passkeys_->Register(lead_, "x", made))), Errc::passkey_invalid);
  const TestAuthenticator late(PasskeyAlgorithm::eddsa, "late");
  const std::string old = passkeys_->Challenge(lead_);
  clock_.Pass(std::chrono::minutes(6));
  EXPECT_EQ(Code(Run(passkeys_->Register(lead_, "x", late.Register(kGate, old, {})))),
            Errc::passkey_invalid);
}

TEST_F(PasskeysTest, ACredentialBelongsToOnePersonOnly) {
  ASSERT_TRUE(Register(lead_, device_));
  EXPECT_FALSE(Register(other_, device_));
  EXPECT_EQ(log_.Count("passkey.registered", false), 1u);
  EXPECT_TRUE(passkeys_->Of(other_).empty());
  EXPECT_EQ(Code(Confirm(other_, device_)), Errc::passkey_invalid);
}

TEST_F(PasskeysTest, ACounterThatStoodStillIsRefusedAlsoAfterARestart) {
  ASSERT_TRUE(Register(lead_, device_));
  EXPECT_TRUE(Confirm(lead_, device_, 5));
  EXPECT_EQ(Code(Confirm(lead_, device_, 5)), Errc::passkey_invalid);
  Open();
  EXPECT_EQ(Code(Confirm(lead_, device_, 5)), Errc::passkey_invalid);
  EXPECT_EQ(Code(Confirm(lead_, device_, 7, false)), Errc::passkey_invalid);  // signed a "no"
  EXPECT_TRUE(Confirm(lead_, device_, 6));
}

TEST_F(PasskeysTest, NothingCountsUnrecordedOrUnread) {
  log_.broken = true;
  EXPECT_EQ(Code(Register(lead_, device_)), Errc::ledger_unavailable);
  EXPECT_TRUE(passkeys_->Of(lead_).empty());
  log_.broken = false;
  ASSERT_TRUE(Register(lead_, device_));
  Open(true);
  EXPECT_FALSE(passkeys_->usable());  // and nobody seems to be without a passkey
  EXPECT_EQ(Code(Confirm(lead_, device_)), Errc::state_unavailable);
}

TEST_F(PasskeysTest, ARemovedOneIsGoneForEverAndItsOwnerStaysBound) {
  const auto key = Register(lead_, device_);
  ASSERT_TRUE(key);
  EXPECT_TRUE(passkeys_->Needs(lead_));
  EXPECT_FALSE(passkeys_->Needs(other_));
  EXPECT_EQ(Code(Run(passkeys_->Remove(other_, other_, key->id, ""))), Errc::not_found);
  EXPECT_EQ(log_.Count("passkey.removed", false), 1u);
  const std::string begun = passkeys_->Challenge(lead_);
  ASSERT_TRUE(Run(passkeys_->Remove(lead_, lead_, key->id, "lost 4111111111111111")));
  EXPECT_EQ(log_.Count("passkey.removed"), 1u);
  EXPECT_EQ(log_.lines().back().text.find("4111111111111111"), std::string::npos);
  const TestAuthenticator next(PasskeyAlgorithm::eddsa, "next");
  EXPECT_EQ(Code(Run(passkeys_->Register(lead_, "x", next.Register(kGate, begun, {})))),
            Errc::passkey_invalid);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(Code(Confirm(lead_, device_)), Errc::passkey_invalid);
    EXPECT_EQ(Code(Run(passkeys_->Remove(lead_, lead_, key->id, ""))), Errc::not_found);
    EXPECT_TRUE(passkeys_->Of(lead_).empty());
    EXPECT_TRUE(passkeys_->Needs(lead_));
    EXPECT_FALSE(Register(lead_, device_));  // the credential does not come back
    Open();
  }
  ASSERT_TRUE(Register(lead_, next));
  EXPECT_TRUE(Confirm(lead_, next));
}

TEST_F(PasskeysTest, ARemovalCountsOnlyRecorded) {
  const auto key = Register(lead_, device_);
  ASSERT_TRUE(key);
  log_.broken = true;
  EXPECT_EQ(Code(Run(passkeys_->Remove(lead_, lead_, key->id, ""))), Errc::ledger_unavailable);
  EXPECT_TRUE(Confirm(lead_, device_));
  log_.broken = false;
  bool refused = false;  // between the entry and the state, too
  log_.meanwhile = [&] { refused = Code(Confirm(lead_, device_)) == Errc::passkey_invalid; };
  ASSERT_TRUE(Run(passkeys_->Remove(lead_, lead_, key->id, "")));
  EXPECT_TRUE(refused);
}

TEST_F(PasskeysTest, TheLastUseIsKept) {
  ASSERT_TRUE(Register(lead_, device_));
  EXPECT_EQ(passkeys_->Of(lead_)[0].used, 0);
  clock_.Pass(std::chrono::minutes(3));
  ASSERT_TRUE(Confirm(lead_, device_, 0));
  EXPECT_EQ(passkeys_->Of(lead_)[0].used, clock_.wall);
  Open();
  EXPECT_EQ(passkeys_->Of(lead_)[0].used, clock_.wall);
}

TEST_F(PasskeysTest, TenForEachPerson) {
  for (int i = 0; i < 10; ++i)
    ASSERT_TRUE(
        Register(lead_, TestAuthenticator(PasskeyAlgorithm::eddsa, "k" + std::to_string(i))));
  EXPECT_EQ(Code(Register(lead_, device_)), Errc::limit_exceeded);
  EXPECT_TRUE(Register(other_, device_));
}

}  // namespace
}  // namespace sallyport::approval
