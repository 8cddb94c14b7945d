#include "policy/glob.h"

#include <gtest/gtest.h>

namespace sallyport::policy {
namespace {

bool Match(std::string_view pattern, std::string_view text) {
  auto glob = Glob::Make(pattern);
  EXPECT_TRUE(glob.has_value()) << pattern;
  return glob && glob->Matches(text);
}

TEST(Glob, Matches) {
  EXPECT_TRUE(Match("get_order", "get_order"));
  EXPECT_TRUE(Match("search_*", "search_"));
  EXPECT_TRUE(Match("search_*", "search_orders"));
  EXPECT_TRUE(Match("*", ""));
  EXPECT_TRUE(Match("*", "any/thing.at all"));
  EXPECT_TRUE(Match("*_all", "export_all"));
  EXPECT_TRUE(Match("a*b*c", "a--b-b--c"));
  EXPECT_TRUE(Match("get_?", "get_x"));
  EXPECT_TRUE(Match("get_?", "get_é"));
  EXPECT_TRUE(Match("a**b", "ab"));
  EXPECT_TRUE(Match("*ab", "aab"));
}

TEST(Glob, DoesNotMatch) {
  EXPECT_FALSE(Match("get_order", "get_orders"));
  EXPECT_FALSE(Match("get_order", "Get_order"));
  EXPECT_FALSE(Match("search_*", "search"));
  EXPECT_FALSE(Match("search_*", "xsearch_a"));
  EXPECT_FALSE(Match("get_?", "get_"));
  EXPECT_FALSE(Match("get_?", "get_xy"));
  EXPECT_FALSE(Match("a*b", "abc"));
  EXPECT_FALSE(Match("a.c", "abc"));
}

TEST(Glob, RefusesOtherLanguages) {
  for (std::string pattern : {"", "a[b]", "{a,b}", "a\\*", "a\nb"})
    EXPECT_FALSE(Glob::Make(pattern)) << pattern;
  EXPECT_FALSE(Glob::Make(std::string(513, 'a')));
}

TEST(Glob, ManyStarsTakeNoLongTime) {
  std::string pattern;
  for (int i = 0; i < 250; ++i) pattern += "a*";
  EXPECT_FALSE(Match(pattern + "b", std::string(8192, 'a')));
}

}  // namespace
}  // namespace sallyport::policy
