#include "oauth/redirect_uri.h"

#include <gtest/gtest.h>

namespace sallyport::oauth {
namespace {

RedirectUri Good(std::string_view text) {
  auto uri = RedirectUri::Parse(text);
  EXPECT_TRUE(uri) << text << ": " << (uri ? "" : uri.error().detail);
  return uri.value_or(RedirectUri{});
}

TEST(RedirectUri, WhatIsTaken) {
  EXPECT_EQ(Good("https://a.example.com/cb?x=1").kind, RedirectUri::Kind::web);
  EXPECT_EQ(Good("https://A.example.com:8443").host, "a.example.com");
  EXPECT_EQ(Good("http://127.0.0.1/callback").kind, RedirectUri::Kind::loopback);
  EXPECT_EQ(Good("http://[::1]:4711/cb").port, "4711");
  EXPECT_EQ(Good("http://localhost:8080").kind, RedirectUri::Kind::loopback);
  EXPECT_EQ(Good("com.example.app:/oauth").kind, RedirectUri::Kind::native);
  EXPECT_TRUE(RedirectUri::Parse("cursor://anysphere.cursor-mcp/oauth", true));
}

TEST(RedirectUri, WhatIsRefused) {
  for (const char* text : {"",
                           "/cb",
                           "//evil.example",
                           "/\\evil.example",
                           "https:evil.example",
                           "https:/evil.example",
                           "https://",
                           "https:///cb",
                           "https://a.example/cb#x",
                           "https://u@a.example/",
                           "https://localhost@evil.example/",
                           "https://a.example\\@b.example/",
                           "https://*.example.com/",
                           "https://a.example/*",
                           "https://a.example/c b",
                           "https://a.example/%0d%0aX",
                           "https://a.example/%",
                           "https://a.example/../x",
                           "https://a.example/%2e%2e/x",
                           "https://a.example/a%2fb",
                           "https://a.example:0/",
                           "https://a.example:65536/",
                           "https://a.example:08/",
                           "https://a.example:/",
                           "https://a..example/",
                           "https://.example/",
                           "https://a.example./",
                           "https://[::2]/",
                           "https://[::1/",
                           "http://127.0.0.1.evil.example/",
                           "http://127.0.0.2/",
                           "http://127.1/",
                           "http://0x7f000001/",
                           "http://localhost.evil.example/",
                           "http://a.example/cb",
                           "HTTPS://a.example/",
                           "javascript:alert(1)",
                           "data:text/html,x",
                           "vbscript:x",
                           "file:///etc/passwd",
                           "myapp:/cb",
                           "https://a.example/cb?code=1",
                           "https://a.example/cb?x&state",
                           "https://\xc3\xa4.example/",
                           "https://a.example/\xe3\x80\x82",
                           "https://a.example/cb\r\nX: y",
                           "com.example.app:/u@x"})
    EXPECT_FALSE(RedirectUri::Parse(text)) << text;
  EXPECT_FALSE(RedirectUri::Parse("https://a.example/" + std::string(1024, 'a')));
  for (const char* text : {"javascript:alert(1)", "data:text/html,x", "ftp://a.example/", "*://x"})
    EXPECT_FALSE(RedirectUri::Parse(text, true)) << text;
}

TEST(RedirectUri, OnlyThePortOfLoopbackIsFree) {
  const RedirectUri loopback = Good("http://127.0.0.1/callback");
  EXPECT_TRUE(loopback.Allows(Good("http://127.0.0.1:52163/callback")));
  EXPECT_TRUE(Good("http://127.0.0.1:1/callback").Allows(Good("http://127.0.0.1:2/callback")));
  EXPECT_FALSE(loopback.Allows(Good("http://127.0.0.1:52163/callback/")));
  EXPECT_FALSE(loopback.Allows(Good("http://127.0.0.1:52163/callback?x=1")));
  EXPECT_FALSE(loopback.Allows(Good("http://localhost:52163/callback")));
  EXPECT_FALSE(loopback.Allows(Good("https://127.0.0.1:52163/callback")));
  EXPECT_FALSE(Good("https://127.0.0.1/callback").Allows(Good("http://127.0.0.1/callback")));
  const RedirectUri web = Good("https://a.example/cb");
  EXPECT_TRUE(web.Allows(web));
  for (const char* text :
       {"https://a.example:443/cb", "https://A.example/cb", "https://a.example/cb/",
        "https://a.example/cb?x=1", "https://a.example/CB", "https://a.example"})
    EXPECT_FALSE(web.Allows(Good(text))) << text;
  EXPECT_EQ(Good("http://127.0.0.1:99/cb").Portless(), "http://127.0.0.1/cb");
  EXPECT_EQ(Good("https://a.example:99/cb").Portless(), "https://a.example:99/cb");
}

}  // namespace
}  // namespace sallyport::oauth
