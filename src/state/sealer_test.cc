#include "state/sealer.h"

#include <gtest/gtest.h>
#include <set>
#include <vector>

#include "base/bytes.h"

namespace sallyport::state {
namespace {

Sealer Made(uint8_t fill) {
  const std::vector<uint8_t> key(32, fill);
  return *Sealer::Make(Secret(Base64UrlEncode(key) + "\n"));
}

TEST(Sealer, OpensWhatItSealedForThePlace) {
  const Sealer sealer = Made(1);
  const std::string sealed = sealer.Seal("approval a_1", R"({"card":"4111111111111111"})");
  EXPECT_EQ(sealed.find("4111"), std::string::npos);
  EXPECT_EQ(sealer.Open("approval a_1", sealed).value_or(""), R"({"card":"4111111111111111"})");
  EXPECT_EQ(sealer.Open("approval a_1", sealer.Seal("approval a_1", "")).value_or("x"), "");
  EXPECT_NE(sealer.Seal("p", "t"), sealer.Seal("p", "t"));
}

TEST(Sealer, RefusesOtherPlacesKeysAndAnyChangedByte) {
  const Sealer sealer = Made(1);
  const std::string sealed = sealer.Seal("approval a_1", "text");
  EXPECT_EQ(sealer.Open("approval a_2", sealed).error().code, Errc::state_unavailable);
  EXPECT_FALSE(Made(2).Open("approval a_1", sealed));
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string bad = sealed;
    bad[i] = char(bad[i] ^ 1);
    EXPECT_FALSE(sealer.Open("approval a_1", bad)) << i;
    EXPECT_FALSE(sealer.Open("approval a_1", sealed.substr(0, i))) << i;
  }
}

TEST(Sealer, DigestsDependOnKeyPurposeAndText) {
  const Sealer one = Made(1), two = Made(2);
  const std::set<std::string> all{one.Digest("a", "bc"), one.Digest("ab", "c"), one.Digest("a", ""),
                                  two.Digest("a", "bc")};
  EXPECT_EQ(all.size(), 4u);
  EXPECT_EQ(one.Digest("a", "bc"), Made(1).Digest("a", "bc"));
  EXPECT_EQ(one.Digest("a", "bc").size(), 64u);
}

TEST(Sealer, WantsAWholeKey) {
  EXPECT_FALSE(Sealer::Make(Secret("c2hvcnQ")));
  EXPECT_FALSE(Sealer::Make(Secret("no base64")));
  EXPECT_FALSE(Sealer::Make(Secret()));
}

}  // namespace
}  // namespace sallyport::state
