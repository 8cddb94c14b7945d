#include "ledger/verify.h"

#include <gtest/gtest.h>

#include "json/document.h"
#include "ledger/proof.h"
#include "ledger/scratch_for_tests.h"
#include "ledger/tamper_for_tests.h"

namespace sallyport::ledger {
namespace {

TEST(Verify, TheHonestLogPasses) {
  const Tamperer tamperer(1);
  const VerifyReport report =
      VerifyLog(tamperer.honest(), {.vkey = tamperer.vkey(), .older_checkpoint = {}});
  EXPECT_TRUE(report.ok()) << report.Text();
  EXPECT_EQ(report.entries, 300u);
  EXPECT_TRUE(report.key_given);
  for (const std::string& older : tamperer.older_checkpoints()) {
    const VerifyReport again =
        VerifyLog(tamperer.honest(), {.vkey = "", .older_checkpoint = older});
    EXPECT_TRUE(again.ok()) << again.Text();
    EXPECT_TRUE(again.older_size);
    EXPECT_FALSE(again.key_given);
    EXPECT_NE(again.Text().find("not who wrote it"), std::string::npos);
    const std::string text = again.Json();
    const auto json = json::Document::Parse(text);
    ASSERT_TRUE(json);
    EXPECT_EQ(json->root()["ok"].boolean(), true);
    EXPECT_EQ(json->root()["proves"].string(), "consistency only");
  }
}

TEST(Verify, NoHonestLogIsRefused) { EXPECT_EQ(RunHonest(500, 3), 0u); }

TEST(Verify, EveryKindOfTamperingIsFound) {
  const auto counts = RunTamper(2000, 7);
  for (int kind = 0; kind < Tamperer::kClasses; ++kind) {
    const TamperCount& c = counts[size_t(kind)];
    EXPECT_GT(c.tried, 100u);
    EXPECT_EQ(c.missed_with_memory, 0u) << Tamperer::ClassName(kind);
    if (Tamperer::NeedsMemory(kind)) {  // no verifier can see these without memory: the docs say so
      EXPECT_EQ(c.missed, c.tried) << Tamperer::ClassName(kind);
    } else {
      EXPECT_EQ(c.missed, 0u) << Tamperer::ClassName(kind);
    }
  }
}

TEST(Verify, EveryBitOfEveryFileMatters) {
  const Tamperer tamperer(1);
  Image image = tamperer.honest();
  size_t step = 0;
  for (auto& [name, bytes] : image.files) {
    for (size_t bit = step++ % 7; bit < bytes.size() * 8; bit += bytes.size() < 500 ? 1 : 997) {
      bytes[bit / 8] = char(bytes[bit / 8] ^ (1 << (bit % 8)));
      EXPECT_FALSE(VerifyLog(image, {.vkey = tamperer.vkey(), .older_checkpoint = {}}).ok())
          << name << " " << bit;
      bytes[bit / 8] = char(bytes[bit / 8] ^ (1 << (bit % 8)));
    }
  }
}

TEST(Verify, NamesFileAndIndex) {
  const Tamperer tamperer(1);
  Image image = tamperer.honest();
  image.files.at("tile/entries/001.p/44").back() ^= 1;
  const VerifyReport report = VerifyLog(image, {.vkey = tamperer.vkey(), .older_checkpoint = {}});
  ASSERT_FALSE(report.ok());
  EXPECT_EQ(report.problems[0].file, "log/tile/0/001.p/44");
  EXPECT_EQ(report.problems[0].index, 299u);
  EXPECT_NE(report.Text().find("entry 299"), std::string::npos);

  image = tamperer.honest();
  image.files.erase("tile/entries/000");
  const VerifyReport missing = VerifyLog(image, {.vkey = "", .older_checkpoint = {}});
  ASSERT_FALSE(missing.ok());
  EXPECT_EQ(missing.problems[0].file, "log/tile/entries/000");

  image = tamperer.honest();
  image.files["tile/notes.txt"] = "x";
  EXPECT_FALSE(VerifyLog(image, {.vkey = "", .older_checkpoint = {}}).ok());
}

TEST(Verify, AForeignKeyIsNoKey) {
  const Tamperer tamperer(1);
  const auto other = NoteSigner::Make("gate.example.com/tamper", Secret(std::string(32, 'o')));
  EXPECT_FALSE(VerifyLog(tamperer.honest(), {.vkey = other->vkey(), .older_checkpoint = {}}).ok());
  EXPECT_FALSE(VerifyLog(tamperer.honest(), {.vkey = "nonsense", .older_checkpoint = {}}).ok());
  const std::string forged =
      *other->Sign("gate.example.com/tamper\n1\n" + std::string(43, 'A') + "=\n");
  EXPECT_FALSE(
      VerifyLog(tamperer.honest(), {.vkey = tamperer.vkey(), .older_checkpoint = forged}).ok());
}

class DataDir : public testing::Test {
 protected:
  void SetUp() override {
    auto ledger = Ledger::Open(TestOptions(dir_));
    ASSERT_TRUE(ledger) << ledger.error().detail;
    for (int i = 0; i < 700; ++i) ASSERT_TRUE((*ledger)->Append("entry " + std::to_string(i)));
    vkey_ = (*ledger)->vkey();
    ASSERT_TRUE((*ledger)->Close());
  }
  Scratch dir_;
  std::string vkey_;
};

TEST_F(DataDir, Verifies) {
  const VerifyReport report = VerifyDataDir(dir_.path(), vkey_);
  EXPECT_TRUE(report.ok()) << report.Text();
  EXPECT_EQ(report.entries, 700u);
  EXPECT_FALSE(VerifyDataDir(dir_.path() / "nothing").ok());
  EXPECT_FALSE(VerifyDataDir(dir_.path() / "nothing").found);
}

TEST_F(DataDir, AnOlderCopyOfTheDirectoryIsARollback) {
  Scratch copy;
  std::filesystem::copy(dir_.path(), copy.path(), std::filesystem::copy_options::recursive);
  {
    auto ledger = Ledger::Open(TestOptions(dir_));
    ASSERT_TRUE(ledger);
    ASSERT_TRUE((*ledger)->AppendStrictBlocking("newer"));
  }
  const std::string newer = dir_.ReadText("log/checkpoint"),
                    older = copy.ReadText("log/checkpoint");
  EXPECT_TRUE(VerifyDataDir(copy.path(), vkey_, {}).ok());
  EXPECT_FALSE(VerifyDataDir(copy.path(), vkey_, newer).ok());
  EXPECT_TRUE(VerifyDataDir(dir_.path(), vkey_, older).ok());
}

TEST_F(DataDir, ProofsVerifyForTheirEntryOnly) {
  const auto verifier = NoteVerifier::Make(vkey_);
  ASSERT_TRUE(verifier);
  for (uint64_t i : {0u, 255u, 256u, 511u, 512u, 699u}) {
    const auto proof = Prove(dir_.path(), i);
    ASSERT_TRUE(proof) << proof.error().detail;
    const std::string entry = "entry " + std::to_string(i);
    const auto checkpoint = VerifyProof(*proof, entry, *verifier);
    ASSERT_TRUE(checkpoint) << checkpoint.error().detail;
    EXPECT_EQ(checkpoint->size, 700u);
    EXPECT_FALSE(VerifyProof(*proof, entry + "x", *verifier));
    std::string moved = *proof;
    moved.replace(moved.find("index "), 7 + std::to_string(i).size(),
                  "index " + std::to_string(i ^ 1) + "\n");
    EXPECT_FALSE(VerifyProof(moved, entry, *verifier)) << moved;
    for (size_t n = 0; n < proof->size(); n += 13)
      EXPECT_FALSE(VerifyProof(proof->substr(0, n), entry, *verifier));
  }
  EXPECT_EQ(Prove(dir_.path(), 700).error().code, Errc::not_found);
}

}  // namespace
}  // namespace sallyport::ledger
