#include "witness/witness.h"

#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "ledger/note.h"
#include "ledger/proof.h"
#include "witness/submission.h"

namespace sallyport::witness {
namespace {

using ledger::Hash;

/// A log in memory.
struct Tree {
  std::vector<Hash> leaves;
  Result<Hash> Read(unsigned height, uint64_t index) const {
    if (height == 0) return leaves.at(index);
    SALLYPORT_TRY(const Hash left, Read(height - 1, 2 * index));
    SALLYPORT_TRY(const Hash right, Read(height - 1, 2 * index + 1));
    return ledger::NodeHash(left, right);
  }
  ledger::SubtreeReader reader() const {
    return [this](unsigned h, uint64_t i) { return Read(h, i); };
  }
};

class WitnessTest : public testing::Test {
 protected:
  WitnessTest() {
    char name[] = "/tmp/sallyport-witness-XXXXXX";
    dir_ = mkdtemp(name);
    for (int i = 0; i < 300; ++i)
      tree_.leaves.push_back(ledger::LeafHash("entry " + std::to_string(i)));
    Open();
  }
  ~WitnessTest() override { std::filesystem::remove_all(dir_); }

  void Open() {
    auto opened = Witness::Open({.dir = dir_ / "state",
                                 .name = "w.example/1",
                                 .key = Secret(std::string(32, 'w')),
                                 .logs = {log_.vkey()}});
    ASSERT_TRUE(opened) << opened.error().detail;
    witness_ = std::move(*opened);
  }
  std::string Signed(uint64_t size, const Tree& tree) const {
    const Hash root = size == 0 ? ledger::EmptyRoot() : *ledger::RootAt(size, tree.reader());
    return *log_.Sign(ledger::CheckpointText({log_.name(), size, root}));
  }
  Submission Honest(uint64_t old, uint64_t size) const {
    Submission s{.old_size = old, .note = Signed(size, tree_)};
    if (old > 0 && old < size) s.proof = *ledger::ConsistencyProof(old, size, tree_.reader());
    return s;
  }
  Witness::Answer Add(const Submission& s) { return witness_->AddCheckpoint(FormatSubmission(s)); }
  size_t Files(std::string_view beginning) const {
    size_t n = 0;
    for (const auto& entry : std::filesystem::directory_iterator(dir_ / "state"))
      n += entry.path().filename().string().starts_with(beginning);
    return n;
  }

  std::filesystem::path dir_;
  Tree tree_;
  const ledger::NoteSigner log_ =
      *ledger::NoteSigner::Make("log.example/a", Secret(std::string(32, 'l')));
  std::unique_ptr<Witness> witness_;
};

TEST_F(WitnessTest, CosignsWhatContinues) {
  const auto verifier = ledger::CosignatureVerifier::Make(witness_->vkey());
  uint64_t old = 0;
  for (const uint64_t size : {1u, 1u, 2u, 17u, 256u, 257u, 300u}) {
    const Submission s = Honest(old, size);
    const auto answer = Add(s);
    ASSERT_EQ(answer.status, 200) << size << ' ' << answer.body;
    const std::string cosigned = s.note + answer.body;
    const auto note = ledger::ParseNote(cosigned);
    ASSERT_TRUE(note);
    EXPECT_TRUE(verifier->Open(*note));
    old = size;
  }
  const auto head = witness_->Head(OriginHash(log_.name()));
  ASSERT_EQ(head.status, 200);
  EXPECT_EQ(ledger::PeekCheckpoint(head.body)->size, 300u);
  EXPECT_EQ(witness_->Head(OriginHash("log.example/b")).status, 404);
}

TEST_F(WitnessTest, RemembersAcrossAStart) {
  ASSERT_EQ(Add(Honest(0, 200)).status, 200);
  Open();
  const auto answer = Add(Honest(0, 100));
  EXPECT_EQ(answer.status, 409);
  EXPECT_EQ(answer.content_type, "text/x.tlog.size");
  EXPECT_EQ(answer.body, "200\n");
  EXPECT_EQ(Add(Honest(200, 300)).status, 200);
}

TEST_F(WitnessTest, ADamagedMemoryIsNoMemory) {
  ASSERT_EQ(Add(Honest(0, 200)).status, 200);
  const auto file = dir_ / "state" / OriginHash(log_.name());
  std::string note;
  {
    std::ifstream in(file);
    note.assign(std::istreambuf_iterator<char>(in), {});
  }
  for (size_t i = 0; i < note.size(); i += 7) {
    std::string bad = note;
    bad[i] = char(bad[i] ^ 1);
    std::ofstream(file, std::ios::trunc) << bad;
    EXPECT_FALSE(Witness::Open({.dir = dir_ / "state",
                                .name = "w.example/1",
                                .key = Secret(std::string(32, 'w')),
                                .logs = {log_.vkey()}}))
        << i;
  }
}

TEST_F(WitnessTest, TheStatusesOfTheProtocol) {
  EXPECT_EQ(witness_->AddCheckpoint("").status, 400);
  EXPECT_EQ(witness_->AddCheckpoint("old 0\n\nnothing").status, 400);
  EXPECT_EQ(Add(Honest(5, 4)).status, 400);
  const auto stranger = ledger::NoteSigner::Make("log.example/b", Secret(std::string(32, 'l')));
  EXPECT_EQ(Add({.note = *stranger->Sign(ledger::CheckpointText({"log.example/b", 1, {}}))}).status,
            404);
  const auto thief = ledger::NoteSigner::Make("log.example/a", Secret(std::string(32, 't')));
  EXPECT_EQ(Add({.note = *thief->Sign(ledger::CheckpointText({"log.example/a", 1, {}}))}).status,
            403);
  ASSERT_EQ(Add(Honest(0, 100)).status, 200);
  EXPECT_EQ(Add(Honest(99, 200)).status, 409);
  Submission s = Honest(100, 200);
  s.proof.pop_back();
  EXPECT_EQ(Add(s).status, 422);
  s = Honest(100, 200);
  s.proof.front()[0] ^= 1;
  EXPECT_EQ(Add(s).status, 422);
  s = Honest(100, 100);
  s.proof.push_back({});
  EXPECT_EQ(Add(s).status, 422);
  EXPECT_EQ(Add({.note = *log_.Sign(ledger::CheckpointText({log_.name(), 0, Hash{}}))}).status,
            409);
  EXPECT_EQ(Add(Honest(100, 200)).status, 200);
}

TEST_F(WitnessTest, NeverCosignsAForkAndKeepsTheProof) {
  ASSERT_EQ(Add(Honest(0, 100)).status, 200);
  Tree fork = tree_;
  fork.leaves[50] = ledger::LeafHash("another");
  Submission s{.old_size = 100, .note = Signed(100, fork)};
  EXPECT_EQ(Add(s).status, 422);
  EXPECT_EQ(Files("equivocation-"), 1u);
  s = {.old_size = 100,
       .proof = *ledger::ConsistencyProof(100, 200, fork.reader()),
       .note = Signed(200, fork)};
  EXPECT_EQ(Add(s).status, 422);
  // The proof holds two heads of one size that one key has signed.
  std::string both;
  for (const auto& entry : std::filesystem::directory_iterator(dir_ / "state")) {
    if (!entry.path().filename().string().starts_with("equivocation-")) continue;
    std::ifstream in(entry.path());
    both.assign(std::istreambuf_iterator<char>(in), {});
  }
  const size_t second = both.rfind("log.example/a\n100\n");
  const auto verifier = ledger::NoteVerifier::Make(log_.vkey());
  const auto one = verifier->OpenCheckpoint(both.substr(0, second - 1));
  const auto two = verifier->OpenCheckpoint(both.substr(second));
  ASSERT_TRUE(one && two);
  EXPECT_EQ(one->size, two->size);
  EXPECT_NE(one->root, two->root);
  EXPECT_EQ(Add(Honest(100, 200)).status, 200);
}

TEST(Submission, HasOneSpelling) {
  const Submission s{
      .old_size = 12, .proof = {ledger::LeafHash("a"), ledger::LeafHash("b")}, .note = "note\n"};
  const std::string body = FormatSubmission(s);
  const auto parsed = ParseSubmission(body);
  ASSERT_TRUE(parsed);
  EXPECT_EQ(FormatSubmission(*parsed), body);
  for (const std::string& bad :
       {std::string("old 012\n\nnote\n"), std::string("old +1\n\n"), std::string("old 1\nx\n\n"),
        std::string("old \n\n"), std::string("Old 1\n\n"), std::string("old 1"),
        "old 1\n" + std::string(64 * 45, 'A'), "old 1\n\n" + std::string(70'000, 'x')}) {
    EXPECT_FALSE(ParseSubmission(bad)) << bad.substr(0, 40);
  }
  std::string many = "old 1\n";
  for (int i = 0; i < 64; ++i) many += std::string(43, 'A') + "=\n";
  EXPECT_FALSE(ParseSubmission(many + '\n'));
}

}  // namespace
}  // namespace sallyport::witness
