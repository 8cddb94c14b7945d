#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <map>

#include "base/ids.h"
#include "evidence_pack/build.h"
#include "evidence_pack/digest.h"
#include "evidence_pack/history_for_tests.h"
#include "evidence_pack/verify.h"
#include "ledger/writer.h"

namespace sallyport::evidence_pack {
namespace {

namespace fs = std::filesystem;

std::string Slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// One day of a gateway, once for all tests here.
class PackTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    root_ = fs::temp_directory_path() / ("packs-" + NewHandle(6));
    fs::create_directories(root_);
    const auto made = MakeHistory(root_ / "data", 12'000, 1);
    ASSERT_TRUE(made) << made.error().detail;
    made_ = *made;
    key_ = new PackKey(*PackKey::FromPem(PackKey::NewPem()));
    const auto built = Build("pack.zip");
    ASSERT_TRUE(built) << built.error().detail;
    report_ = *built;
    constexpr Nanos kMinute = 60ll * 1'000'000'000;
    const auto small = Build("small.zip", made_.from + 300 * kMinute, made_.from + 320 * kMinute);
    ASSERT_TRUE(small) << small.error().detail;
  }
  static void TearDownTestSuite() {
    fs::remove_all(root_);
    delete key_;
  }

  static evidence_pack::Setup Rules() {
    evidence_pack::Setup setup;
    setup.given = true;
    setup.digest = "digest";
    setup.connections = {{.name = "payments", .kind = "mcp", .labels = {{"scope", "cde"}}},
                         {.name = "orders-db", .kind = "postgresql", .labels = {{"scope", "cde"}}}};
    policy::RuleSpec rule;
    rule.id = "support-reads";
    rule.effect = op::Verdict::allow;
    rule.who = {"group:support"};
    rule.connection = "payments";
    rule.tools = {"get_*"};
    setup.policies.rules = {rule};
    return setup;
  }

  static Result<BuildReport> Build(const std::string& name, Nanos from = 0, Nanos to = 0) {
    return BuildPack({.data_dir = root_ / "data",
                      .out = root_ / name,
                      .from = from,
                      .to = to,
                      .version = "test",
                      .seed = "dice: 3 1 6",
                      .samples = 5},
                     Rules(), *key_);
  }

  /// A small pack with its files changed, as an archive that is sound.
  static Result<VerifyPackReport> Judge(
      const std::function<void(std::vector<std::pair<std::string, std::string>>&)>& change) {
    const auto zip = ZipReader::Open(root_ / "small.zip");
    std::vector<std::pair<std::string, std::string>> files;
    for (const Member& m : zip->members()) files.emplace_back(m.name, *zip->Content(m));
    change(files);
    auto out = ZipWriter::Create(root_ / "changed.zip");
    for (const auto& [name, content] : files) {
      Packed packed(root_);
      packed.Write(content);
      EXPECT_TRUE(packed.Close());
      EXPECT_TRUE(out->Add(name, packed));
    }
    EXPECT_TRUE(out->Finish());
    SALLYPORT_TRY(const ZipReader changed, ZipReader::Open(root_ / "changed.zip"));
    return VerifyPack(changed, "");
  }

  static std::string Content(const std::string& name) {
    const auto zip = ZipReader::Open(root_ / "pack.zip");
    for (const Member& m : zip->members()) {
      if (m.name == name) return *zip->Content(m);
    }
    ADD_FAILURE() << name << " is not in the pack";
    return {};
  }

  static inline fs::path root_;
  static inline MadeHistory made_;
  static inline PackKey* key_ = nullptr;
  static inline BuildReport report_;
};

TEST_F(PackTest, VerifiesAndHasEveryEntry) {
  const auto zip = ZipReader::Open(root_ / "pack.zip");
  ASSERT_TRUE(zip);
  const auto verified = VerifyPack(*zip, report_.fingerprint);
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_EQ(verified->entries, made_.entries);
  EXPECT_EQ(report_.entries, made_.entries);
  EXPECT_EQ(verified->samples, 5u);
  EXPECT_GT(verified->rows, 1000u);
  EXPECT_EQ(verified->origin, "gate.example.com/history");
  EXPECT_FALSE(VerifyPack(*zip, "SHA256:another"));
}

TEST_F(PackTest, IsTheSameWhenBuiltTwice) {
  ASSERT_TRUE(Build("again.zip"));
  EXPECT_TRUE(Slurp(root_ / "pack.zip") == Slurp(root_ / "again.zip"));
}

TEST_F(PackTest, CountsWhatHappened) {
  const auto rows = [&](const std::string& name) {
    const std::string text = Content(name);
    return uint64_t(std::ranges::count(text, '\n')) - 1;
  };
  EXPECT_EQ(rows("evidence/10.2.1.4/refused-attempts.csv"), made_.denied + made_.refused);
  const std::string coverage = Content("evidence/10.2.1/coverage.json");
  EXPECT_NE(coverage.find("ended without a word"), std::string::npos);
  EXPECT_NE(Content("evidence/10.2.1/outages.csv").find(",7"), std::string::npos);
  EXPECT_NE(Content("evidence/10.2.2/fields.json").find("\"fields_missing\": 0"),
            std::string::npos);
  EXPECT_EQ(rows("evidence/10.7.2/control-failures.csv"), 1u);
  EXPECT_EQ(rows("evidence/07.2.3/approvals.csv"), made_.approvals);
  const std::string proof = Content("evidence/07.3.3/default-deny-proof.json");
  EXPECT_NE(proof.find("\"let_through_without_a_rule\": 0"), std::string::npos) << proof;
  EXPECT_EQ(proof.find("\"denied_by_default\": 0"), std::string::npos) << proof;
}

TEST_F(PackTest, EveryFileThatIsChangedRemovedAddedOrSwappedIsFound) {
  const auto zip = ZipReader::Open(root_ / "small.zip");
  const size_t count = zip->members().size();
  using Files = std::vector<std::pair<std::string, std::string>>;
  ASSERT_TRUE(Judge([](Files&) {}));
  for (size_t i = 0; i < count; ++i) {
    const std::string& name = zip->members()[i].name;
    EXPECT_FALSE(Judge([&](Files& files) {
      std::string& content = files[i].second;
      if (content.empty()) content = "x";
      content[content.size() / 2] = char(content[content.size() / 2] ^ 1);
    })) << name;
    EXPECT_FALSE(Judge([&](Files& files) { files.erase(files.begin() + ptrdiff_t(i)); })) << name;
    EXPECT_FALSE(Judge([&](Files& files) { files[i].second += "\n"; })) << name;
    const size_t other = (i + 1) % count;
    if (zip->members()[other].crc == zip->members()[i].crc) continue;
    EXPECT_FALSE(Judge([&](Files& files) { std::swap(files[i].second, files[other].second); }))
        << name;
  }
  EXPECT_FALSE(Judge([](Files& files) { files.emplace_back("evidence/more.csv", "x\n"); }));
}

/// Signs what the files are now, as who has the key can.
void SignAnew(std::vector<std::pair<std::string, std::string>>& files, const PackKey& key) {
  std::map<std::string, std::string> digests;
  for (const auto& [name, content] : files) {
    if (!name.starts_with("integrity/manifest.")) digests[name] = Digest::HexOf(content);
  }
  std::string manifest;
  for (const auto& [name, digest] : digests) manifest += digest + "  " + name + "\n";
  for (auto& [name, content] : files) {
    if (name == "integrity/manifest.sha256") content = manifest;
    if (name == "integrity/manifest.sig") content = *key.Sign(manifest);
  }
}

TEST_F(PackTest, WhoHasTheKeyCannotTellOtherThanTheLog) {
  using Files = std::vector<std::pair<std::string, std::string>>;
  const auto forge = [&](const std::string& name, const auto& change) {
    const auto verdict = Judge([&](Files& files) {
      for (auto& [file, content] : files) {
        if (file == name) change(content);
      }
      SignAnew(files, *key_);
    });
    return verdict ? std::string("verified") : verdict.error().detail;
  };
  EXPECT_EQ(forge("none", [](std::string&) {}), "verified");
  const auto cut_row = [](std::string& csv) { csv.replace(csv.find('\n') + 1, 1, "9"); };
  EXPECT_TRUE(forge("evidence/10.2.1.1/chd-access.csv", cut_row)
                  .starts_with("evidence/10.2.1.1/chd-access.csv: row"));
  const auto swap_leaves = [](std::string& leaves) {
    std::rotate(leaves.begin(), leaves.begin() + 45, leaves.begin() + 90);
  };
  EXPECT_TRUE(forge("integrity/leaves.txt", swap_leaves).starts_with("integrity/leaves.txt: "));
  const auto drop_leaf = [](std::string& leaves) { leaves.erase(0, 45); };
  EXPECT_TRUE(forge("integrity/leaves.txt", drop_leaf).starts_with("integrity/leaves.txt: "));
  const auto grow = [](std::string& note) { note.replace(note.find('\n') + 1, 1, "9"); };
  EXPECT_TRUE(forge("integrity/checkpoint", grow).starts_with("integrity/checkpoint: "));
  const auto earlier = [](std::string& range) { range.replace(range.find("first ") + 6, 1, "1"); };
  EXPECT_NE(forge("integrity/range", earlier), "verified");
  const auto other_seed = [](std::string& json) { json.replace(json.find("dice"), 4, "luck"); };
  EXPECT_TRUE(forge("samples/sample.json", other_seed).starts_with("samples/sample.json: "));
  std::string sample;
  const auto zip = ZipReader::Open(root_ / "small.zip");
  for (const Member& m : zip->members()) {
    if (m.name.ends_with(".entry")) sample = m.name;
  }
  const auto other_entry = [](std::string& entry) {
    entry.replace(entry.find("\"t\":1") + 4, 1, "2");
  };
  EXPECT_TRUE(forge(sample, other_entry).starts_with("samples/"));
}

TEST_F(PackTest, OneThatIsSignedAnewByAnotherKeyShowsThatKey) {
  const auto other = PackKey::FromPem(PackKey::NewPem());
  ASSERT_TRUE(BuildPack({.data_dir = root_ / "data", .out = root_ / "other.zip"}, Rules(), *other));
  const auto zip = ZipReader::Open(root_ / "other.zip");
  EXPECT_TRUE(VerifyPack(*zip, ""));
  EXPECT_FALSE(VerifyPack(*zip, report_.fingerprint));
}

TEST_F(PackTest, APartOfTheTimeIsProvenAsWell) {
  const Nanos hour = 3600ll * 1'000'000'000;
  const auto part = Build("part.zip", made_.from + 2 * hour, made_.from + 5 * hour);
  ASSERT_TRUE(part) << part.error().detail;
  EXPECT_LT(part->entries, made_.entries / 2);
  const auto zip = ZipReader::Open(root_ / "part.zip");
  const auto verified = VerifyPack(*zip, "");
  ASSERT_TRUE(verified) << verified.error().detail;
  EXPECT_GE(verified->entries, part->entries);  // calls that were under way when it began
}

TEST_F(PackTest, APeriodWithoutEntriesIsNoPack) {
  for (const auto& [from, to] :
       {std::pair(Nanos(1), Nanos(1000)), std::pair(made_.to + 1, made_.to + 1000),
        std::pair(made_.to + 1, Nanos(0))}) {
    const auto built = Build("none.zip", from, to);
    ASSERT_FALSE(built);
    EXPECT_EQ(built.error().code, Errc::not_found) << built.error().detail;
    EXPECT_FALSE(fs::exists(root_ / "none.zip"));
  }
}

TEST_F(PackTest, ALogThatDoesNotVerifyIsNoPack) {
  fs::copy(root_ / "data", root_ / "bad", fs::copy_options::recursive);
  const fs::path bundle = root_ / "bad/log/tile/entries/007";
  std::string bytes = Slurp(bundle);
  ASSERT_GT(bytes.size(), 5000u);
  bytes[4000] = char(bytes[4000] ^ 1);
  std::ofstream(bundle, std::ios::binary) << bytes;
  const auto built =
      BuildPack({.data_dir = root_ / "bad", .out = root_ / "bad.zip"}, Rules(), *key_);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, Errc::token_signature_invalid) << built.error().detail;
  EXPECT_NE(built.error().detail.find("does not verify"), std::string::npos);
  EXPECT_FALSE(fs::exists(root_ / "bad.zip"));
}

TEST_F(PackTest, ACardNumberInTheLogIsNoPack) {
  const fs::path dir = root_ / "leak";
  {
    ledger::Options options;
    options.data_dir = dir;
    options.origin = "gate.example.com/leak";
    options.signing_key = Secret(std::string(32, 'h'));
    auto log = ledger::Ledger::Open(std::move(options));
    ASSERT_TRUE(log);
    ASSERT_TRUE((*log)->Append(
        R"({"v":1,"e":"evidence.read","t":1788220800000000000,"m":"audit search","detail":"4111 1111 1111 1111"})"));
    ASSERT_TRUE((*log)->Close());
  }
  const auto built = BuildPack({.data_dir = dir, .out = root_ / "leak.zip"}, Rules(), *key_);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, Errc::mask_failed) << built.error().detail;
  EXPECT_EQ(built.error().detail.find("4111"), std::string::npos);
  EXPECT_FALSE(fs::exists(root_ / "leak.zip"));
}

TEST_F(PackTest, NothingIsLeftWhereItCannotBeWritten) {
  const auto built =
      BuildPack({.data_dir = root_ / "data", .out = root_ / "no/such/pack.zip"}, Rules(), *key_);
  ASSERT_FALSE(built);
  EXPECT_EQ(built.error().code, Errc::io_failed);
  EXPECT_FALSE(BuildPack({.data_dir = root_ / "data", .out = root_}, Rules(), *key_));
}

TEST_F(PackTest, WithoutAConfigurationItSaysSo) {
  const auto built = BuildPack({.data_dir = root_ / "data", .out = root_ / "bare.zip"},
                               evidence_pack::Setup(), *key_);
  ASSERT_TRUE(built) << built.error().detail;
  const auto zip = ZipReader::Open(root_ / "bare.zip");
  EXPECT_TRUE(VerifyPack(*zip, ""));
  for (const Member& m : zip->members()) {
    if (m.name == "evidence/07.3.3/about.json")
      EXPECT_NE(zip->Content(m)->find("no entry in this period"), std::string::npos);
  }
}

}  // namespace
}  // namespace sallyport::evidence_pack
