#include "witness/cosigning.h"

#include <gtest/gtest.h>

#include "ledger/scratch_for_tests.h"
#include "ledger/verify.h"
#include "witness/witness.h"

namespace sallyport::witness {
namespace {

using namespace std::chrono_literals;
using ledger::Ledger;
using ledger::Scratch;

/// Witnesses behind a network that can break.
class CosigningTest : public testing::Test {
 protected:
  CosigningTest() {
    auto ledger = Ledger::Open(ledger::TestOptions(data_.path()));
    EXPECT_TRUE(ledger) << ledger.error().detail;
    ledger_ = std::move(*ledger);
    for (char name : {'a', 'b', 'c'}) witnesses_.push_back(Open(name));
  }
  ~CosigningTest() override {
    cosigning_.reset();
    ledger_.reset();
  }

  std::unique_ptr<Witness> Open(char name) {
    auto opened = Witness::Open({.dir = state_.path() / std::string(1, name),
                                 .name = std::string(1, name) + ".example/w",
                                 .key = Secret(std::string(32, name)),
                                 .logs = {ledger_->vkey()}});
    EXPECT_TRUE(opened) << opened.error().detail;
    return std::move(*opened);
  }
  Config Three(uint64_t quorum) const {
    Config config{.quorum = quorum, .interval = 10ms, .within = 300ms};
    for (char name : {'a', 'b', 'c'}) {
      Peer peer;
      peer.name = std::string(1, name) + ".example/w";
      peer.url = "https://" + std::string(1, name);
      peer.key = witnesses_[size_t(name - 'a')]->vkey();
      config.peers.push_back(peer);
    }
    return config;
  }
  void Start(const Config& config) {
    auto started = Cosigning::Start(
        {.data_dir = data_.path(),
         .log_key = ledger_->vkey(),
         .config = config,
         .fetch = [this](const FetchRequest& r) { return Fetch(r); },
         .cosigned = [this](const ledger::Checkpoint& head,
                            const std::string& note) { ledger_->Cosigned(head, note); }});
    ASSERT_TRUE(started) << started.error().detail;
    cosigning_ = std::move(*started);
  }
  Result<FetchResponse> Fetch(const FetchRequest& request) {
    const size_t which = size_t(request.url[8] - 'a');
    if (down_[which]) return Fail(Errc::upstream_unreachable, "down");
    const auto answer =
        request.method == "POST"
            ? witnesses_[which]->AddCheckpoint(request.body)
            : witnesses_[which]->Head(request.url.substr(10, request.url.rfind('/') - 10));
    FetchResponse response{.status = answer.status, .body = answer.body};
    if (answer.status == 200 && swap_[which])  // says another witness's word as its own
      response.body = witnesses_[(which + 1) % 3]->AddCheckpoint(request.body).body;
    return response;
  }
  template <class F>
  bool Eventually(F f) {
    for (int i = 0; i < 500; ++i) {
      if (f()) return true;
      std::this_thread::sleep_for(10ms);
    }
    return false;
  }
  uint64_t Append(int n) {
    for (int i = 0; i < n; ++i) EXPECT_TRUE(ledger_->AppendStrictBlocking("an entry"));
    return ledger_->stats().size;
  }

  Scratch data_, state_;
  std::unique_ptr<Ledger> ledger_;
  std::vector<std::unique_ptr<Witness>> witnesses_;
  std::array<std::atomic<bool>, 3> down_{}, swap_{};
  std::unique_ptr<Cosigning> cosigning_;
};

TEST_F(CosigningTest, AQuorumCosignsEachHead) {
  Start(Three(2));
  down_[2] = true;
  for (int i = 0; i < 5; ++i) {
    const uint64_t size = Append(90);
    ASSERT_TRUE(Eventually([&] { return cosigning_->status().size == size; }));
  }
  EXPECT_TRUE(cosigning_->status().met);
  const auto policy = Policy::Parse(PolicyText(Three(2), ledger_->vkey()));
  ASSERT_TRUE(policy);
  // An idle log's own checkpoint has the cosignatures too.
  EXPECT_TRUE(Eventually([&] {
    const auto verdict = policy->Check(data_.ReadText("log/checkpoint"));
    return verdict && verdict->quorum && verdict->checkpoint.size == ledger_->stats().size;
  }));
  const auto verdict = policy->Check(data_.ReadText("log/checkpoint.cosigned"));
  ASSERT_TRUE(verdict) << verdict.error().detail;
  EXPECT_TRUE(verdict->quorum);
  const auto report = ledger::VerifyDataDir(data_.path(), ledger_->vkey());
  EXPECT_TRUE(report.ok()) << report.Text();
  EXPECT_EQ(report.cosigned_size, ledger_->stats().size);
}

TEST_F(CosigningTest, AMissingQuorumIsSaidAndItsReturnToo) {
  Start(Three(2));
  Append(3);
  ASSERT_TRUE(Eventually([&] { return cosigning_->status().first; }));
  down_[0] = down_[1] = true;
  ASSERT_TRUE(Eventually([&] { return !cosigning_->status().met; }));
  const auto status = cosigning_->status();
  EXPECT_NE(status.why.find("a.example/w: down"), std::string::npos) << status.why;
  EXPECT_FALSE(status.diverged);
  down_[1] = false;
  EXPECT_TRUE(Eventually([&] { return cosigning_->status().met; }));
}

TEST_F(CosigningTest, TwoKeysOfOneOperatorAreOneWord) {
  Config config = Three(2);
  config.peers[0].operated_by = config.peers[1].operated_by = "platform";
  down_[2] = true;
  Start(config);
  Append(3);
  EXPECT_TRUE(Eventually([&] { return !cosigning_->status().met; }));
  EXPECT_FALSE(cosigning_->status().first);
  down_[2] = false;
  EXPECT_TRUE(Eventually([&] { return cosigning_->status().met; }));
}

TEST_F(CosigningTest, AnotherWitnessesWordIsNotTaken) {
  swap_[0] = true;
  Start(Three(3));
  Append(3);
  EXPECT_TRUE(Eventually([&] {
    const auto status = cosigning_->status();
    return status.peers[0].problem.find("without a cosignature") != std::string::npos;
  }));
  EXPECT_FALSE(cosigning_->status().first);
}

TEST_F(CosigningTest, ARolledBackLogIsSeenWithProof) {
  Start(Three(2));
  Append(10);
  ASSERT_TRUE(Eventually([&] { return cosigning_->status().size == 10; }));
  cosigning_.reset();
  ASSERT_TRUE(ledger_->Close());
  ledger_.reset();
  Scratch copy;
  std::filesystem::copy(data_.path(), copy.path(), std::filesystem::copy_options::recursive);

  auto again = Ledger::Open(ledger::TestOptions(data_.path()));
  ASSERT_TRUE(again);
  ledger_ = std::move(*again);
  Start(Three(2));
  Append(10);
  ASSERT_TRUE(Eventually([&] { return cosigning_->status().size == 20; }));
  cosigning_.reset();
  const std::string seen = data_.ReadText("log/checkpoint.cosigned");
  ASSERT_TRUE(ledger_->Close());
  ledger_.reset();

  // The backup is put back, and goes on with other entries.
  std::filesystem::remove_all(data_.path());
  std::filesystem::copy(copy.path(), data_.path(), std::filesystem::copy_options::recursive);
  EXPECT_FALSE(ledger::VerifyDataDir(data_.path(), {}, seen).ok());
  auto rolled = Ledger::Open(ledger::TestOptions(data_.path()));
  ASSERT_TRUE(rolled);
  ledger_ = std::move(*rolled);
  Append(2);
  Start(Three(2));
  ASSERT_TRUE(Eventually([&] { return cosigning_->status().diverged; }));
  EXPECT_FALSE(cosigning_->status().met);
  const auto own = ledger::NoteVerifier::Make(ledger_->vkey());
  const auto theirs = own->OpenCheckpoint(data_.ReadText("witness/diverged-20.txt"));
  ASSERT_TRUE(theirs);
  EXPECT_EQ(theirs->size, 20u);
}

TEST_F(CosigningTest, ALogWithoutWhatWitnessesSawDoesNotStart) {
  Start(Three(2));
  Append(10);
  ASSERT_TRUE(Eventually([&] { return cosigning_->status().size == 10; }));
  cosigning_.reset();
  ASSERT_TRUE(ledger_->Close());
  Scratch old;
  std::filesystem::copy(data_.path(), old.path(), std::filesystem::copy_options::recursive);
  ledger_.reset();
  auto again = Ledger::Open(ledger::TestOptions(data_.path()));
  ASSERT_TRUE(again);
  ledger_ = std::move(*again);
  Start(Three(2));
  Append(10);
  ASSERT_TRUE(Eventually([&] { return cosigning_->status().size == 20; }));
  cosigning_.reset();
  ASSERT_TRUE(ledger_->Close());
  ledger_.reset();
  const auto kept = data_.ReadText("log/checkpoint.cosigned");
  std::filesystem::remove_all(data_.path());
  std::filesystem::copy(old.path(), data_.path(), std::filesystem::copy_options::recursive);
  data_.WriteText("log/checkpoint.cosigned", kept);
  const auto refused = Ledger::Open(ledger::TestOptions(data_.path()));
  ASSERT_FALSE(refused);
  EXPECT_NE(refused.error().detail.find("witnesses have seen 20 entries"), std::string::npos)
      << refused.error().detail;
  EXPECT_FALSE(ledger::VerifyDataDir(data_.path(), {}).ok());
}

}  // namespace
}  // namespace sallyport::witness
