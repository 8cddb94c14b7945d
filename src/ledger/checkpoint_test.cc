#include "ledger/checkpoint.h"

#include <gtest/gtest.h>

#include "base/bytes.h"

namespace sallyport::ledger {
namespace {

constexpr std::string_view kVkey =
    "example.com/foo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k";
constexpr std::string_view kNote =
    "This is an example message.\n\n"
    "\xe2\x80\x94 example.com/foo "
    "Uw2QOkn8srV1yJGh2VYRlL1Tnagv1YEq6TfXppzi2ONncAlTgK7Ztg1ERYNZXsYjOBH3mFXmRKuwHjG1Yu72IneyaQM="
    "\n";

TEST(SignedNote, OpensThePublishedVector) {
  const auto verifier = NoteVerifier::Make(kVkey);
  ASSERT_TRUE(verifier) << verifier.error().detail;
  const auto text = verifier->Open(kNote);
  ASSERT_TRUE(text) << text.error().detail;
  EXPECT_EQ(*text, "This is an example message.\n");
}

TEST(SignedNote, EverySingleBitMatters) {
  const auto verifier = NoteVerifier::Make(kVkey);
  ASSERT_TRUE(verifier);
  for (size_t bit = 0; bit < kNote.size() * 8; ++bit) {
    std::string note(kNote);
    note[bit / 8] = char(note[bit / 8] ^ (1 << (bit % 8)));
    EXPECT_FALSE(verifier->Open(note)) << "bit " << bit;
  }
  for (size_t n = 0; n < kNote.size(); ++n) EXPECT_FALSE(verifier->Open(kNote.substr(0, n)));
}

TEST(SignedNote, VkeyWithAWrongHashOrNameIsRefused) {
  EXPECT_FALSE(
      NoteVerifier::Make("example.com/foo+530d903b+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"));
  EXPECT_FALSE(
      NoteVerifier::Make("example.com/fo+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"));
  EXPECT_FALSE(NoteVerifier::Make("+530d903a+AekyeRrm56hApGFkyQR4ZCbV54Id2LKaANYcrnKv3U2k"));
  EXPECT_FALSE(NoteVerifier::Make(std::string(kVkey) + "\n"));
  EXPECT_FALSE(NoteVerifier::Make(""));
}

TEST(SignedNote, OthersMaySignToo) {
  const Secret seed(std::string(32, 'k'));
  const auto signer = NoteSigner::Make("log.example/a", seed);
  ASSERT_TRUE(signer);
  const auto verifier = NoteVerifier::Make(signer->vkey());
  ASSERT_TRUE(verifier);
  std::string note = *signer->Sign("hello\n");
  ASSERT_TRUE(verifier->Open(note));
  const std::string_view foreign = kNote.substr(kNote.find("\n\n") + 2);
  EXPECT_TRUE(verifier->Open(note + std::string(foreign)));
  EXPECT_FALSE(verifier->Open("hello\n\n" + std::string(foreign)));
  EXPECT_FALSE(verifier->Open(note + note.substr(note.find("\n\n") + 2)));  // twice by one key
}

TEST(Checkpoint, RoundTripsAndRefusesSecondSpellings) {
  const Checkpoint checkpoint{"gw1.example.com/audit", 70'000, LeafHash("x")};
  const std::string text = CheckpointText(checkpoint);
  EXPECT_EQ(*ParseCheckpointText(text), checkpoint);
  const std::string root = Base64Encode(checkpoint.root);
  for (const std::string& bad :
       {"a\n070\n" + root + "\n", "a\n+7\n" + root + "\n", "a\n7\n" + root,
        "a\n7\n" + root + "\nextension\n", "a\n7\n" + root.substr(0, 40) + "\n",
        " a\n7\n" + root + "\n", "a+b\n7\n" + root + "\n", "\n7\n" + root + "\n",
        "a\n18446744073709551616\n" + root + "\n", "a\n\n" + root + "\n"}) {
    EXPECT_FALSE(ParseCheckpointText(bad)) << bad;
  }
}

TEST(Checkpoint, OriginMustBeTheKeysName) {
  const auto signer = NoteSigner::Make("log.example/a", Secret(std::string(32, 'k')));
  const auto verifier = NoteVerifier::Make(signer->vkey());
  EXPECT_TRUE(verifier->OpenCheckpoint(*signer->Sign(CheckpointText({"log.example/a", 1, {}}))));
  EXPECT_FALSE(verifier->OpenCheckpoint(*signer->Sign(CheckpointText({"log.example/b", 1, {}}))));
}

TEST(SigningKey, IsReadInEveryFormAndNothingElse) {
  const auto generated = GenerateSigningKey("log.example/a");
  ASSERT_TRUE(generated);
  const auto signer = NoteSigner::Make("log.example/a", *generated);
  ASSERT_TRUE(signer) << signer.error().detail;
  EXPECT_FALSE(NoteSigner::Make("log.example/b", *generated));
  // openssl genpkey -algorithm ed25519, and the public key that OpenSSL says it has
  const Secret pem(
      "-----BEGIN PRIVATE KEY-----\n"
      "MC4CAQAwBQYDK2VwBCIEIGtra2tra2tra2tra2tra2tra2tra2tra2tra2tra2tr\n"
      "-----END PRIVATE KEY-----\n");
  const auto from_pem = NoteSigner::Make("log.example/a", pem);
  ASSERT_TRUE(from_pem) << from_pem.error().detail;
  EXPECT_EQ(from_pem->vkey(),
            NoteSigner::Make("log.example/a", Secret(std::string(32, 'k')))->vkey());
  for (const char* bad :
       {"", "short", "-----BEGIN PRIVATE KEY-----\nMC4=\n-----END PRIVATE KEY-----\n"}) {
    EXPECT_FALSE(NoteSigner::Make("log.example/a", Secret(bad)));
  }
  EXPECT_FALSE(NoteSigner::Make("log example", *generated));
}

}  // namespace
}  // namespace sallyport::ledger
