// The first look: its kernels give the same masks, and nothing passes it by.
#include "mask/scan.h"

#include <gtest/gtest.h>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "mask/corpus_format.h"
#include "mask/iin_table.h"
#include "mask/scan_blocks.h"

namespace sallyport::mask {
namespace {

constexpr size_t kFirst = BlockBatch::kFirst;

std::unique_ptr<BlockBatch> Sifted(std::string_view text, BlockKernel kernel) {
  auto b = std::make_unique<BlockBatch>();
  b->digits[kFirst - 1] = b->token[kFirst - 1] = b->plain[kFirst - 1] = 0;
  SiftBlocks(text.data(), text.size(), *b, kernel);
  return b;
}

/// The text around digits and words, and bytes of any value.
std::string RandomText(std::mt19937& rng, size_t size, int kind) {
  static constexpr std::string_view kLikely =
      "0123456789 cCvVuUrRiIlLoOjkmbgp+-/_\x7f.,\"\xc3\xbc\x01[]";
  static constexpr std::string_view kWords[] = {
      "four ", "one ",   "1111 ",    "4111-", "12/27 ", "card ",     "triple ", "0 ",
      "1 ",    "22.33,", "\xc2\xa0", "&#52;", "cvv ",   "security ", "\n"};
  std::string text;
  while (text.size() < size) {
    if (kind == 0) text += char(rng());
    if (kind == 1) text += kLikely[rng() % kLikely.size()];
    if (kind == 2) text += kWords[rng() % std::size(kWords)];
  }
  text.resize(size);
  return text;
}

TEST(Scan, MasksSayWhatIsThere) {
  std::mt19937 rng(4);
  for (int round = 0; round < 60; round++) {
    const std::string text = RandomText(rng, 64 * 40 + 17, round % 3);
    const auto b = Sifted(text, BlockKernel::sse);
    size_t digits = 0;
    for (size_t i = 0; i < text.size(); i++) {
      const char c = text[i];
      const auto bit = [&](const uint64_t* m) { return (m[kFirst + i / 64] >> (i % 64) & 1) != 0; };
      const auto in = [&](std::string_view set) { return set.find(c) != set.npos && c != 0; };
      const bool digit = in("0123456789"), letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z',
                 high = (c & 0x80) != 0;
      digits += digit;
      ASSERT_EQ(bit(b->digits), digit) << i;
      ASSERT_EQ(bit(b->token), digit || letter || in("+-/_")) << i;
      ASSERT_EQ(bit(b->high), high) << i;
      ASSERT_EQ(bit(b->plain), high || in(" -.")) << i;
      ASSERT_EQ(bit(b->like), in("lIoO")) << i;
      ASSERT_EQ(bit(b->no_word), digit || high || in("jkmJKM")) << i;
      ASSERT_EQ(bit(b->no_begin), in("bgijklmprwxyBGIJKLMPRWXY")) << i;
      const std::string next = text.substr(i + 1, 2);
      const bool v = !next.empty() && (next[0] | 0x20) == 'v',
                 ur = next.size() > 1 && (next[0] | 0x20) == 'u' && (next[1] | 0x20) == 'r';
      if (i % 64 < 62) ASSERT_EQ(bit(b->code), in("cC") && (v || ur)) << i;
    }
    EXPECT_EQ(b->digit_count, digits);
  }
}

TEST(Scan, KernelsAgree) {
  std::mt19937 rng(5);
  for (int round = 0; round < 300; round++) {
    const std::string text = RandomText(rng, 1 + rng() % (64 * 64), round % 3);
    const auto want = Sifted(text, BlockKernel::sse);
    for (BlockKernel kernel : {BlockKernel::avx2, BlockKernel::avx512, BlockKernel::best}) {
      if (!Supports(kernel)) continue;
      const auto got = Sifted(text, kernel);
      for (size_t k = kFirst; k < kFirst + (text.size() + 63) / 64; k++) {
        for (const auto masks :
             {&BlockBatch::digits, &BlockBatch::token, &BlockBatch::high, &BlockBatch::plain,
              &BlockBatch::code, &BlockBatch::like, &BlockBatch::no_word, &BlockBatch::no_begin}) {
          ASSERT_EQ(((*got).*masks)[k], ((*want).*masks)[k]) << k;
        }
      }
      for (const auto word :
           {&BlockBatch::tokens, &BlockBatch::long_runs, &BlockBatch::groups, &BlockBatch::busy,
            &BlockBatch::fours, &BlockBatch::codes, &BlockBatch::lookalikes, &BlockBatch::highs}) {
        ASSERT_EQ((*got).*word, (*want).*word);
      }
      EXPECT_EQ(got->words[0], want->words[0]);
      EXPECT_EQ(got->words[1], want->words[1]);
      EXPECT_EQ(got->digit_count, want->digit_count);
    }
  }
}

TEST(Scan, FindsANumberAtEveryOffset) {
  for (const char* number :
       {"4111111111111111", "4111 1111 1111 1111", "3782-822463-10005",
        "4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1",
        "&#52;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;&#49;",
        "NDExMTExMTExMTExMTExMQ==", "cvv: 123", "3O569309O259O4"}) {
    for (size_t pad = 0; pad < 200; pad++) {
      ScanResult r;
      const std::string text = std::string(pad, 'x') + " " + number + " " + std::string(40, 'y');
      ScanText(text, 0, r);
      ASSERT_FALSE(r.regions.empty()) << number << " at " << pad;
      EXPECT_LE(r.regions.front().begin, pad + 3);
    }
  }
}

/// Numbers of all lengths at all places of the blocks, alone and in groups, in text that is all
/// numbers.
TEST(Scan, SkipsNoPlausibleNumber) {
  std::mt19937 rng(6);
  const auto digit = [&] { return char('0' + rng() % 10); };
  static constexpr std::string_view kGaps = " -.";
  for (int round = 0; round < 4000; round++) {
    std::string text, number = "4";
    for (size_t n = rng() % 300; n > 0; n--) text += rng() % 5 ? digit() : ",\n ./:"[rng() % 6];
    text += "; ";
    const size_t size = std::vector<size_t>{13, 16, 18, 19}[rng() % 4];
    while (number.size() < size) number += digit();
    uint8_t d[20];
    for (char last = '0'; last <= '9'; last++) {
      number.back() = last;
      for (size_t i = 0; i < size; i++) d[i] = uint8_t(number[i] - '0');
      if (LuhnOk(d, int(size))) break;
    }
    const size_t begin = text.size();
    const char gap = kGaps[rng() % 3];
    const bool grouped = rng() % 2 != 0;
    for (size_t i = 0; i < size; i++) {
      if (grouped && i > 0 && i % 4 == 0) text += gap;
      text += number[i];
    }
    const size_t end = text.size();
    text += " ;";
    for (size_t n = rng() % 200; n > 0; n--) text += rng() % 5 ? digit() : ",\n ./:"[rng() % 6];
    ScanResult r;
    ScanText(text, 0, r);
    EXPECT_TRUE(std::ranges::any_of(
        r.regions, [&](const Region& x) { return x.begin < end && x.end > begin; }))
        << text.substr(begin, end - begin) << " at " << begin;
    for (size_t k = 1; k < r.regions.size(); k++)
      EXPECT_LT(r.regions[k - 1].end, r.regions[k].begin);
  }
}

}  // namespace
}  // namespace sallyport::mask
