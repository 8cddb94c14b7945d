#include "config/units.h"

#include <gtest/gtest.h>

namespace sallyport::config {
namespace {

using namespace std::chrono_literals;

TEST(Units, Durations) {
  EXPECT_EQ(ParseDuration("100ms"), 100ms);
  EXPECT_EQ(ParseDuration("30s"), 30s);
  EXPECT_EQ(ParseDuration("15m"), 15min);
  EXPECT_EQ(ParseDuration("4h"), 4h);
  EXPECT_EQ(ParseDuration("1h30m"), 90min);
  EXPECT_EQ(ParseDuration("13mo"), 13 * 30 * 24h);
  EXPECT_EQ(ParseDuration("0s"), 0ms);
  for (auto text : {"", "15", "m", "15 m", "-1s", "1.5h", "15M", "1x", "99999999999999999y",
                    "999999y", "100y1ms"}) {
    EXPECT_FALSE(ParseDuration(text)) << text;
  }
}

TEST(Units, Sizes) {
  EXPECT_EQ(ParseSize("4MiB"), 4u << 20);
  EXPECT_EQ(ParseSize("512KiB"), 512u << 10);
  EXPECT_EQ(ParseSize("64kB"), 64000u);
  EXPECT_EQ(ParseSize("4096"), 4096u);
  for (auto text : {"", "MiB", "4 MiB", "4mib", "-1", "999999999999999999GiB"})
    EXPECT_FALSE(ParseSize(text)) << text;
}

TEST(Units, ListenAddresses) {
  EXPECT_TRUE(ParseListen("127.0.0.1:80")->loopback);
  EXPECT_TRUE(ParseListen("[::1]:80")->loopback);
  EXPECT_TRUE(ParseListen("localhost:80")->loopback);
  EXPECT_FALSE(ParseListen("0.0.0.0:80")->loopback);
  EXPECT_FALSE(ParseListen(":80")->loopback);
  EXPECT_FALSE(ParseListen("[::]:80")->loopback);
  for (auto text : {"", "127.0.0.1", "127.0.0.1:", "127.0.0.1:x", "127.0.0.1:70000", "::1:80",
                    "[::1", "example.com:80"}) {
    EXPECT_FALSE(ParseListen(text)) << text;
  }
}

TEST(Units, Urls) {
  auto url = ParseUrl("https://Gate.Example.com:8443/a?b");
  ASSERT_TRUE(url);
  EXPECT_TRUE(url->https);
  EXPECT_EQ(url->host, "gate.example.com");
  EXPECT_EQ(url->rest, "/a?b");
  EXPECT_TRUE(ParseUrl("http://127.0.0.1:1")->loopback);
  EXPECT_TRUE(ParseUrl("http://[::1]:1/x")->loopback);
  EXPECT_FALSE(ParseUrl("http://127.0.0.1.evil.com")->loopback);
  for (auto text :
       {"", "gate", "ftp://x", "https://", "https:///x", "https://u:p@h/", "https://h/#f",
        "https://h:x/", "https://h:/", "https://h h/", "https://h\\@x/"}) {
    EXPECT_FALSE(ParseUrl(text)) << text;
  }
}

TEST(Units, EditDistance) {
  EXPECT_EQ(EditDistance("aproval", "approval"), 1u);
  EXPECT_EQ(EditDistance("nmae", "name"), 1u);
  EXPECT_EQ(EditDistance("", "abc"), 3u);
  EXPECT_EQ(EditDistance("same", "same"), 0u);
}

}  // namespace
}  // namespace sallyport::config
