#include "api/router.h"

#include <gtest/gtest.h>

#include "api/cookies.h"

namespace sallyport::api {
namespace {

boost::asio::awaitable<Reply> Nothing(Visit&) { co_return Reply{}; }

TEST(Router, FindsByMethodAndPath) {
  Router router;
  router.Add({.method = "GET", .path = "/api/v1/sessions", .handler = Nothing});
  router.Add({.method = "DELETE", .path = "/api/v1/sessions/:id", .handler = Nothing});
  EXPECT_NE(router.Find("GET", "/api/v1/sessions").route, nullptr);
  EXPECT_NE(router.Find("HEAD", "/api/v1/sessions").route, nullptr);
  const auto found = router.Find("DELETE", "/api/v1/sessions/u_1");
  ASSERT_NE(found.route, nullptr);
  ASSERT_EQ(found.params.size(), 1u);
  EXPECT_EQ(found.params[0].first, "id");
  EXPECT_EQ(found.params[0].second, "u_1");
  EXPECT_TRUE(router.Find("POST", "/api/v1/sessions").known);
  EXPECT_EQ(router.Find("POST", "/api/v1/sessions").route, nullptr);
  for (const char* path : {"/api/v1/sessions/", "/api/v1/sessions/a/b", "/api/v1/sessions/%2e", "/",
                           "", "api", "/api/v1/sessions/a b", "//api/v1/sessions"}) {
    EXPECT_FALSE(router.Find("DELETE", path).known) << path;
  }
}

TEST(Form, ReadsFieldsOnce) {
  const Form form("a=1&b=%41+c&a=2&&c&%zz=%");
  EXPECT_EQ(form.Find("b"), "A c");
  EXPECT_EQ(form.Find("a"), std::nullopt);
  EXPECT_TRUE(form.Has("a"));
  EXPECT_EQ(form.Find("c"), "");
  EXPECT_EQ(form.Find("%zz"), "%");
  EXPECT_EQ(PercentEncode("a b/\xc3\xa4"), "a%20b%2F%C3%A4");
}

TEST(Form, OnlyLocalPaths) {
  for (const char* good : {"/", "/approvals", "/approvals/a_1", "/login/cli?port=1&state=a-b_c",
                           "/unlock?session=u_1&x=%2F"}) {
    EXPECT_TRUE(IsLocalPath(good)) << good;
  }
  for (const char* bad :
       {"", "evil", "//evil.test", "/\\evil.test", "https:evil", "https://evil.test", "/a//b",
        "/%2f%2fevil", "/..//evil", "/a\r\nSet-Cookie: x=y", "/a b", "\t//evil",
        "/\xe3\x80\x82"
        "evil",
        "/@evil.test", "/a#b", "/a?next=https://evil.test", "/<script>", "/a;b"}) {
    EXPECT_FALSE(IsLocalPath(bad)) << bad;
  }
  EXPECT_FALSE(IsLocalPath("/" + std::string(3000, 'a')));
}

TEST(Cookies, OneValueOrNone) {
  const net::Headers headers{{"Cookie", "a=b; __Host-sallyport=tok; c"}};
  EXPECT_EQ(FindCookie(headers, kSessionCookie, true), "tok");
  EXPECT_EQ(FindCookie(headers, kSessionCookie, false), std::nullopt);
  const net::Headers twice{{"Cookie", "sallyport=a"}, {"Cookie", "sallyport=b"}};
  EXPECT_EQ(FindCookie(twice, kSessionCookie, false), std::nullopt);
  net::Headers set;
  SetCookie(set, kSessionCookie, "x", true, 60);
  EXPECT_EQ(set.fields()[0].second,
            "__Host-sallyport=x; Path=/; HttpOnly; SameSite=Lax; Max-Age=60; Secure");
}

TEST(Reply, EscapesAndExplains) {
  EXPECT_EQ(Escape("<a href=\"x\">&'"), "&lt;a href=&quot;x&quot;&gt;&amp;&#39;");
  const Reply inside = Problem(Error(Errc::internal, "what nobody should see"));
  EXPECT_EQ(inside.status, 500);
  EXPECT_EQ(inside.body.find("nobody"), std::string::npos);
  EXPECT_NE(Problem(Error(Errc::session_locked)).body.find("session-locked"), std::string::npos);
}

}  // namespace
}  // namespace sallyport::api
