#include "witness/policy.h"

#include <gtest/gtest.h>

namespace sallyport::witness {
namespace {

using ledger::CheckpointText;
using ledger::Cosigner;
using ledger::NoteSigner;

Secret Seed(char c) { return Secret(std::string(32, c)); }

class PolicyTest : public testing::Test {
 protected:
  std::string Note(std::initializer_list<const Cosigner*> cosigners) const {
    const std::string text = CheckpointText({"log.example/a", 7, ledger::LeafHash("x")});
    std::string note = *log_.Sign(text);
    for (const Cosigner* c : cosigners) note += *c->Cosign(text, 1'795'000'000);
    return note;
  }
  std::string Head() const {
    return "log " + log_.vkey() + "\nwitness w1 " + a_.vkey() + " https://a.example\nwitness w2 " +
           b_.vkey() + "\nwitness w3\t" + c_.vkey() + "\n";
  }
  bool Quorum(const std::string& rest, std::initializer_list<const Cosigner*> cosigners) const {
    const auto policy = Policy::Parse(Head() + rest);
    EXPECT_TRUE(policy) << policy.error().detail;
    const auto verdict = policy->Check(Note(cosigners));
    EXPECT_TRUE(verdict) << verdict.error().detail;
    EXPECT_EQ(verdict->cosigned.size(), cosigners.size());
    return verdict->quorum;
  }

  const NoteSigner log_ = *NoteSigner::Make("log.example/a", Seed('l'));
  const Cosigner a_ = *Cosigner::Make("a.example/w", Seed('a'));
  const Cosigner b_ = *Cosigner::Make("b.example/w", Seed('b'));
  const Cosigner c_ = *Cosigner::Make("c.example/w", Seed('c'));
};

TEST_F(PolicyTest, CountsGroupsNotKeys) {
  // Two keys of one operator are one word.
  const std::string rest = "group x any w1 w2\ngroup both 2 x w3\nquorum both\n";
  EXPECT_FALSE(Quorum(rest, {}));
  EXPECT_FALSE(Quorum(rest, {&a_, &b_}));
  EXPECT_FALSE(Quorum(rest, {&c_}));
  EXPECT_TRUE(Quorum(rest, {&b_, &c_}));
  EXPECT_TRUE(Quorum("quorum none\n", {}));
  EXPECT_TRUE(Quorum("quorum w2\n", {&b_}));
  EXPECT_FALSE(Quorum("quorum w2\n", {&a_}));
  EXPECT_FALSE(Quorum("group all3 all w1 w2 w3\nquorum all3\n", {&a_, &b_}));
}

TEST_F(PolicyTest, RefusesWhatDoesNotVerify) {
  const auto policy = Policy::Parse(Head() + "quorum w1\n");
  ASSERT_TRUE(policy);
  EXPECT_FALSE(policy->Check("nothing\n"));
  const auto other = NoteSigner::Make("log.example/a", Seed('m'));
  EXPECT_FALSE(policy->Check(*other->Sign(CheckpointText({"log.example/a", 7, {}}))));
  // A cosignature of another text is no cosignature, and not passed over either.
  const std::string text = CheckpointText({"log.example/a", 7, ledger::LeafHash("x")});
  const std::string moved =
      *log_.Sign(text) + *a_.Cosign(CheckpointText({"log.example/a", 8, {}}), 1);
  EXPECT_FALSE(policy->Check(moved));
  // The time is signed.
  std::string later = Note({&a_});
  for (size_t i = later.rfind('\n', later.size() - 2) + 1; i < later.size() - 1; ++i) {
    std::string bad = later;
    bad[i] = bad[i] == 'A' ? 'B' : 'A';
    const auto verdict = policy->Check(bad);
    EXPECT_FALSE(verdict && verdict->quorum) << i;
  }
}

TEST_F(PolicyTest, SaysWhichLineIsWrong) {
  const struct {
    std::string text;
    const char* detail;
  } cases[] = {
      {"", "quorum"},
      {"quorum none\n", "log"},
      {Head() + "quorum w9\n", "line 5: nothing above is called w9"},
      {Head() + "group g any w1 w1\nquorum g\n", "twice"},
      {Head() + "group g any w1\ngroup h any w1\nquorum g\n", "line 6"},
      {Head() + "group g 3 w1 w2\nquorum g\n", "cannot be needed"},
      {Head() + "group g 0 w1 w2\nquorum g\n", "cannot be needed"},
      {Head() + "group g 01 w1 w2\nquorum g\n", "cannot be needed"},
      {Head() + "group w1 any w2\nquorum w1\n", "taken"},
      {Head() + "group none any w2\nquorum none\n", "taken"},
      {Head() + "witness w4 " + a_.vkey() + "\nquorum none\n", "already"},
      {Head() + "quorum w1\nquorum w1\n", "already"},
      {Head() + "quota w1\n", "not log, witness"},
      {Head() + "witness w4 " + log_.vkey() + "\nquorum none\n", "verifier key"},
      {"log " + a_.vkey() + "\nquorum none\n", "verifier key"},
      {Head() + "quorum w1\x01\n", "control"},
  };
  for (const auto& c : cases) {
    const auto policy = Policy::Parse(c.text);
    ASSERT_FALSE(policy) << c.text;
    EXPECT_NE(policy.error().detail.find(c.detail), std::string::npos) << policy.error().detail;
  }
}

}  // namespace
}  // namespace sallyport::witness
