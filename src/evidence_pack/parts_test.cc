#include <algorithm>
#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/ids.h"
#include "evidence_pack/file.h"
#include "evidence_pack/history.h"
#include "evidence_pack/range_proof.h"
#include "evidence_pack/requirements.h"
#include "evidence_pack/scan.h"
#include "evidence_pack/signature.h"
#include "evidence_pack/zip.h"

namespace sallyport::evidence_pack {
namespace {

namespace fs = std::filesystem;

class Scratch {
 public:
  Scratch() : path(fs::temp_directory_path() / ("pack-" + NewHandle(6))) {
    fs::create_directory(path);
  }
  ~Scratch() { fs::remove_all(path); }
  const fs::path path;
};

std::string Slurp(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

fs::path SmallZip(const fs::path& directory) {
  const fs::path file = directory / "small.zip";
  auto zip = ZipWriter::Create(file);
  for (const auto& [name, text] :
       {std::pair("a.txt", "hello"), std::pair("b/c.csv", "x,y\n1,2\n"), std::pair("empty", "")}) {
    Packed packed(directory);
    packed.Write(text);
    EXPECT_TRUE(packed.Close());
    EXPECT_TRUE(zip->Add(name, packed));
  }
  EXPECT_TRUE(zip->Finish());
  return file;
}

TEST(Zip, GivesBackWhatWasPutIn) {
  Scratch scratch;
  const auto zip = ZipReader::Open(SmallZip(scratch.path));
  ASSERT_TRUE(zip) << zip.error().detail;
  ASSERT_EQ(zip->members().size(), 3u);
  EXPECT_EQ(*zip->Content(zip->members()[0]), "hello");
  EXPECT_EQ(*zip->Content(zip->members()[1]), "x,y\n1,2\n");
  EXPECT_EQ(*zip->Content(zip->members()[2]), "");
}

TEST(Zip, EveryFlippedBitAndEveryCutIsRefused) {
  Scratch scratch;
  const std::string good = Slurp(SmallZip(scratch.path));
  for (size_t at = 0; at < good.size() * 8; ++at) {
    std::string bad = good;
    bad[at / 8] = char(bad[at / 8] ^ (1 << (at % 8)));
    EXPECT_FALSE(ZipReader::Read(std::move(bad))) << at;
  }
  for (size_t size = 0; size < good.size(); ++size)
    EXPECT_FALSE(ZipReader::Read(good.substr(0, size))) << size;
  EXPECT_FALSE(ZipReader::Read(good + '\0'));
  EXPECT_FALSE(ZipReader::Read('\0' + good));
}

TEST(Zip, LargeContentGoesThroughAFile) {
  Scratch scratch;
  Packed packed(scratch.path);
  std::string text(3 << 20, '\0');
  uint32_t x = 1;
  for (char& c : text) c = char((x = x * 1664525 + 1013904223) >> 24);
  for (size_t at = 0; at < text.size(); at += 70'001)
    packed.Write(std::string_view(text).substr(at, 70'001));
  ASSERT_TRUE(packed.Close());
  auto zip = ZipWriter::Create(scratch.path / "large.zip");
  ASSERT_TRUE(zip->Add("large", packed));
  ASSERT_TRUE(zip->Finish());
  const auto read = ZipReader::Open(scratch.path / "large.zip");
  ASSERT_TRUE(read);
  EXPECT_TRUE(*read->Content(read->members()[0]) == text);
}

TEST(Zip, NothingIsLeftWithoutFinish) {
  Scratch scratch;
  {
    auto zip = ZipWriter::Create(scratch.path / "half.zip");
  }
  EXPECT_TRUE(fs::is_empty(scratch.path));
  EXPECT_FALSE(ZipWriter::Create(scratch.path / "no" / "such.zip"));
}

// RFC 6979, A.2.5, with SHA-256.
TEST(Signature, IsThatOfTheStandard) {
  const Secret pem(
      "-----BEGIN EC PRIVATE KEY-----\n"
      "MHcCAQEEIMmvqdhFunUWa1whV2ex1pNOUMPbNuibEnuKYisSD2choAoGCCqGSM49\n"
      "AwEHoUQDQgAEYP7UuiVanTHJYet0xjVtaMBJuJI7Yfps5mliLmDyn7Z5A/4QCLi8\n"
      "maQa6elWKLxk8vGyDC1+n1F3o8KU1EYimQ==\n"
      "-----END EC PRIVATE KEY-----\n");
  const auto key = PackKey::FromPem(pem);
  ASSERT_TRUE(key) << key.error().detail;
  const auto sample = key->Sign("sample");
  ASSERT_TRUE(sample);
  EXPECT_EQ(HexEncode(AsBytes(*sample)),
            "3046022100efd48b2aacb6a8fd1140dd9cd45e81d69d2c877b56aaf991c34d0ea84eaf3716"
            "022100f7cb1c942d657c41d436c7a1b6e29f65f3e900dbb9aff4064dc4ab2f843acda8");
  const auto test = key->Sign("test");
  EXPECT_TRUE(VerifyPackSignature(key->public_pem(), "test", *test));
  EXPECT_FALSE(VerifyPackSignature(key->public_pem(), "Test", *test));
  EXPECT_FALSE(VerifyPackSignature(key->public_pem(), "sample", *test));
}

TEST(Signature, OfNewKeysVerifies) {
  for (int i = 0; i < 20; ++i) {
    const auto key = PackKey::FromPem(PackKey::NewPem());
    ASSERT_TRUE(key);
    const std::string text = "message " + std::to_string(i);
    EXPECT_TRUE(VerifyPackSignature(key->public_pem(), text, *key->Sign(text)));
    EXPECT_EQ(*key->Sign(text), *key->Sign(text));
    EXPECT_TRUE(Fingerprint(key->public_pem()).starts_with("SHA256:"));
  }
  EXPECT_FALSE(PackKey::FromPem(Secret("no key")));
  EXPECT_TRUE(Fingerprint("no key").empty());
}

ledger::Hash RootOf(const std::vector<ledger::Hash>& leaves, size_t low, size_t high) {
  ledger::Frontier tree;
  for (size_t i = low; i < high; ++i) tree.Append(leaves[i]);
  return tree.Root();
}

TEST(RangeProof, OfEveryRangeOfEverySmallLog) {
  std::vector<ledger::Hash> leaves;
  for (int i = 0; i < 37; ++i) leaves.push_back(ledger::LeafHash(std::to_string(i)));
  const ledger::SubtreeReader read = [&](unsigned height, uint64_t index) -> Result<ledger::Hash> {
    return RootOf(leaves, index << height, (index + 1) << height);
  };
  for (uint64_t size = 1; size <= leaves.size(); ++size) {
    const ledger::Hash root = RootOf(leaves, 0, size);
    for (uint64_t first = 0; first < size; ++first) {
      for (uint64_t end = first + 1; end <= size; ++end) {
        auto proof = RangeProof(first, end, size, read);
        ASSERT_TRUE(proof);
        const auto rebuilt = [&](uint64_t swap) {
          uint64_t at = first;
          return RootOfRange(first, end, size, *proof, [&](ledger::Hash& leaf) {
            leaf = leaves[at == swap ? (at + 1) % leaves.size() : at];
            return at++ < end;
          });
        };
        EXPECT_EQ(rebuilt(~0ull), root);
        EXPECT_NE(rebuilt(first), root);
        if (!proof->empty()) {
          proof->back()[0] ^= 1;
          EXPECT_NE(rebuilt(~0ull), root);
          proof->pop_back();
          EXPECT_EQ(rebuilt(~0ull), std::nullopt);
        } else {
          proof->emplace_back();
          EXPECT_EQ(rebuilt(~0ull), std::nullopt);
        }
      }
    }
  }
}

TEST(Cells, AreNoFormulasAndNoControlCharacters) {
  EXPECT_EQ(SafeCell("=1+1"), "'=1+1");
  EXPECT_EQ(SafeCell("+1"), "'+1");
  EXPECT_EQ(SafeCell("-1"), "'-1");
  EXPECT_EQ(SafeCell("@SUM(A1)"), "'@SUM(A1)");
  EXPECT_EQ(SafeCell("a=1"), "a=1");
  EXPECT_EQ(SafeCell("").size(), 0u);
  EXPECT_EQ(SafeCell("a\tb\x1b[2J").find('\x1b'), std::string::npos);
}

TEST(Cells, AreQuotedWhereTheyHaveTo) {
  Scratch scratch;
  auto scan = PackScan::Make();
  PackFile file("x.csv", scratch.path, *scan, PackFile::Kind::text);
  Csv csv(file, {"a", "b"});
  csv.Cell("x,\"y\"\n=z").Cell(uint64_t(7)).End();
  csv.Cell("=cmd,1").Cell("").End();
  EXPECT_EQ(csv.rows(), 2u);
  ASSERT_TRUE(file.Close());
  auto zip = ZipWriter::Create(scratch.path / "x.zip");
  ASSERT_TRUE(zip->Add("x.csv", file.packed()));
  ASSERT_TRUE(zip->Finish());
  const auto read = ZipReader::Open(scratch.path / "x.zip");
  const std::string text = *read->Content(read->members()[0]);
  EXPECT_TRUE(text.starts_with("a,b\n\"x,\"\"y\"\"")) << text;
  EXPECT_NE(text.find("\"'=cmd,1\",\n"), std::string::npos) << text;
}

TEST(Scan, FindsCardNumbersAndNotItsOwnDigests) {
  auto scan = PackScan::Make();
  scan->Look("a", "nothing 2026-11-22 here\n");
  EXPECT_EQ(scan->pan() + scan->sad(), 0u);
  std::string digest = "a4111111111111111";
  digest.resize(64, 'b');
  scan->Look("b", "x 4111111111111111 y\n");
  EXPECT_EQ(scan->pan(), 1u);
  EXPECT_TRUE(scan->first().starts_with("b, ")) << scan->first();
  EXPECT_EQ(scan->first().find("4111"), std::string::npos);
  scan->Know(digest);
  scan->Look("c", digest + "  file\n");
  EXPECT_EQ(scan->pan(), 1u);
}

// Base64 may end in "CVc=". What stands behind it must not look like such a code: rows have the
// leaf behind the time.
TEST(Scan, TakesNoLeafForTheNameOfACode) {
  auto scan = PackScan::Make();
  scan->Look("x", "8500,2026-09-01T06:07:10.005Z,nhtLbvrQheyivxWzJLtotOtiGQPB6pkkUUrjAgDmCVc=,u\n");
  EXPECT_EQ(scan->sad() + scan->pan(), 0u);
  scan->Look("y", "8500,nhtLbvrQheyivxWzJLtotOtiGQPB6pkkUUrjAgDmCVc=,2026-09-01T06:07:10.005Z,u\n");
  EXPECT_EQ(scan->sad(), 1u);
}

TEST(Statements, AreClassedByTheirWords) {
  const std::pair<const char*, Statement> kCases[] = {
      {"SELECT 1", Statement::query},
      {"select 'drop table x'", Statement::query},
      {"-- DROP TABLE x\nselect 1", Statement::query},
      {"/* x */ DROP TABLE x", Statement::object},
      {"select 1; drop table x", Statement::object},
      {"create role x", Statement::credential},
      {"ALTER USER x PASSWORD 'y'", Statement::credential},
      {"ALTER DEFAULT PRIVILEGES GRANT SELECT ON TABLES TO x", Statement::credential},
      {"grant select on x to y", Statement::credential},
      {"COPY x TO STDOUT", Statement::copy},
      {"WITH a AS (DELETE FROM x RETURNING *) SELECT * FROM a", Statement::change},
      {"select $x$ drop table y $x$", Statement::query},
      {"", Statement::none},
      {";;;", Statement::none},
      {"'unterminated", Statement::none},
      {"$a$ unterminated", Statement::none},
  };
  for (const auto& [sql, expected] : kCases) EXPECT_EQ(ClassOf(sql), expected) << sql;
}

TEST(Statements, WhoseTextIsNotInTheEntryAreNotTakenForQueries) {
  const ledger::Hash leaf{};
  std::vector<Statement> seen;
  History history(0, 1'000, [&](const Record& r) {
    if (r.call != nullptr) seen.push_back(r.call->statement);
  });
  history.Add(
      0, leaf,
      R"({"v":1,"e":"auth.success","t":1,"sid":"s_1","who":{"iss":"i","sub":"s"},"fe":"postgres","c":"db"})");
  history.Add(1, leaf,
              R"({"v":1,"e":"call.intent","t":2,"s":0,"req":{"b":9,"json":{"sql":"select 1"}}})");
  history.Add(
      2, leaf,
      R"({"v":1,"e":"call.intent","t":3,"s":0,"req":{"b":9,"cut":true,"text":"{\"sql\":\"/* long"}})");
  history.Add(3, leaf, R"({"v":1,"e":"call.intent","t":4,"s":0,"req":{"b":9,"blob":{"f":"x"}}})");
  history.Add(4, leaf, "no entry");
  EXPECT_EQ(seen, (std::vector{Statement::query, Statement::unread, Statement::unread}));
  EXPECT_EQ(history.unreadable(), 1u);
  EXPECT_EQ(history.open_calls().size(), 3u);
}

TEST(Requirements, AreInOrderAndThereOnce) {
  std::set<std::string_view> seen;
  for (const Requirement& r : Requirements()) {
    EXPECT_TRUE(seen.insert(r.id).second) << r.id;
    EXPECT_FALSE(r.title.empty());
    const bool task = !r.person.empty() || r.automatic == Requirement::Automatic::whole;
    EXPECT_TRUE(task) << r.id << " says what nobody does";
    EXPECT_EQ(FindRequirement(r.id), &r);
  }
  EXPECT_EQ(FindRequirement("99.9"), nullptr);
}

}  // namespace
}  // namespace sallyport::evidence_pack
