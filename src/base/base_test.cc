#include <gtest/gtest.h>

#include <set>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/ids.h"
#include "base/result.h"

namespace sallyport {
namespace {

TEST(Base64, RoundTripsAndRefusesSecondSpellings) {
  for (std::string_view text : {"", "f", "fo", "foo", "foob", "fooba", "foobar"}) {
    EXPECT_EQ(AsText(*Base64Decode(Base64Encode(AsBytes(text)))), text);
    EXPECT_EQ(AsText(*Base64UrlDecode(Base64UrlEncode(AsBytes(text)))), text);
  }
  EXPECT_EQ(Base64Encode(AsBytes("foob")), "Zm9vYg==");
  EXPECT_FALSE(Base64Decode("Zm9vYh=="));  // stray bits
  EXPECT_FALSE(Base64Decode("Zm9vYg"));    // no padding
  EXPECT_FALSE(Base64Decode("Zm9v===="));
  EXPECT_FALSE(Base64UrlDecode("Zm9vYg=="));
  EXPECT_FALSE(Base64UrlDecode("+/+/"));
}

TEST(Clock, FormatsNanoseconds) {
  EXPECT_EQ(FormatUtc(0), "1970-01-01T00:00:00.000000000Z");
  EXPECT_EQ(FormatUtc(1795200000123456789), "2026-11-20T18:40:00.123456789Z");
}

TEST(Ids, AreUniqueAndPrefixed) {
  std::set<std::string> seen;
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(seen.insert(NewId("d_")).second);
  EXPECT_EQ(NewId("d_").size(), 18u);
}

Result<int> Half(int n) {
  if (n % 2 != 0) return Fail(Errc::request_malformed, "odd");
  return n / 2;
}
Result<int> Quarter(int n) {
  SALLYPORT_TRY(int half, Half(n));
  return Half(half);
}

TEST(Result, TryPropagates) {
  EXPECT_EQ(*Quarter(8), 2);
  EXPECT_EQ(ReasonCode(Quarter(6).error().code), "request-malformed");
}

}  // namespace
}  // namespace sallyport
