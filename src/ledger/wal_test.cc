#include "ledger/wal.h"

#include <gtest/gtest.h>

namespace sallyport::ledger {
namespace {

TEST(Crc32c, IsThePublishedOne) {
  EXPECT_EQ(Crc32c("123456789"), 0xe3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8a9136aau);  // RFC 3720 B.4
}

std::string ThreeFrames() {
  std::string bytes;
  AppendFrame(bytes, {FrameType::segment, 7, "sallyport-wal/1 boot"});
  AppendFrame(bytes, {FrameType::leaf, 7, "seven"});
  AppendFrame(bytes, {FrameType::leaf, 8, "eight"});
  return bytes;
}

TEST(FrameReader, ReadsWhatWasWritten) {
  const std::string bytes = ThreeFrames() + std::string(100, '\0');
  FrameReader reader(bytes);
  EXPECT_EQ(reader.Next()->type, FrameType::segment);
  const auto leaf = reader.Next();
  EXPECT_EQ(leaf->index, 7u);
  EXPECT_EQ(leaf->payload, "seven");
  EXPECT_EQ(reader.Next()->index, 8u);
  EXPECT_FALSE(reader.Next());
  EXPECT_TRUE(reader.CleanEnd());
}

TEST(FrameReader, EveryBitMatters) {
  const std::string good = ThreeFrames();
  for (size_t bit = 0; bit < good.size() * 8; ++bit) {
    std::string bytes = good + std::string(64, '\0');
    bytes[bit / 8] = char(bytes[bit / 8] ^ (1 << (bit % 8)));
    FrameReader reader(bytes);
    int frames = 0;
    while (reader.Next()) ++frames;
    EXPECT_LT(frames, 3) << "bit " << bit;
    EXPECT_FALSE(reader.CleanEnd());
  }
}

TEST(FrameReader, SalvagesWhatStandsBehindABadFrame) {
  std::string bytes = ThreeFrames();
  AppendFrame(bytes, {FrameType::leaf, 9, "nine"});
  bytes[bytes.find("eight")] ^= 1;
  FrameReader reader(bytes);
  while (reader.Next()) {
  }
  const auto behind = reader.Salvage(8, 100);
  ASSERT_EQ(behind.size(), 1u);
  EXPECT_EQ(behind[0].payload, "nine");
  EXPECT_TRUE(reader.Salvage(10, 100).empty());
}

TEST(FrameReader, ATornFrameEndsTheFile) {
  const std::string good = ThreeFrames();
  for (size_t n = 0; n < good.size(); ++n) {
    FrameReader reader(std::string_view(good).substr(0, n));
    int frames = 0;
    while (reader.Next()) ++frames;
    EXPECT_LT(frames, 3);
  }
}

}  // namespace
}  // namespace sallyport::ledger
