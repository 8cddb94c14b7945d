#include "sql/lexer.h"

#include <gtest/gtest.h>
#include <string>

namespace sallyport::sql {
namespace {

std::string Tokens(std::string_view text) {
  std::vector<Token> tokens;
  bool plain = false;
  if (!Tokenize(text, tokens, plain)) return "?";
  std::string out = plain ? "" : "!";
  for (const auto& token : tokens) {
    out += "wqnsom$x"[static_cast<int>(token.kind)];
    out += "[" + std::string(text.substr(token.begin, token.end - token.begin)) + "]";
  }
  return out;
}

TEST(Lexer, AsPostgresReadsThem) {
  EXPECT_EQ(Tokens("a.\"b\"\"c\" 1.5e+3,.5"), "w[a]m[.]q[\"b\"\"c\"]n[1.5e+3]m[,]n[.5]");
  EXPECT_EQ(Tokens("a>=b||'x''y'"), "w[a]o[>=]w[b]o[||]s['x''y']");
  EXPECT_EQ(Tokens("$1+$23"), "$[$1]o[+]$[$23]");
  EXPECT_EQ(Tokens("a-- c\nb"), "!w[a]w[b]");
  EXPECT_EQ(Tokens("a/* x /* y */ z */b"), "!w[a]w[b]");
  EXPECT_EQ(Tokens("a*/*c*/b"), "!w[a]o[*]w[b]");
  EXPECT_EQ(Tokens("e'a\\'b' c"), "!x[e'a\\'b']w[c]");
  EXPECT_EQ(Tokens("$$a'b$$ $q$ $$ $q$"), "!x[$$a'b$$]x[$q$ $$ $q$]");
  EXPECT_EQ(Tokens("U&\"x\" u&'y' n'z'"), "!x[U&\"x\"]x[u&'y']x[n'z']");
  EXPECT_EQ(Tokens("a$1 \xc3\xa9"), "w[a$1]w[\xc3\xa9]");
  EXPECT_EQ(Tokens("x::int[]"), "w[x]m[:]m[:]w[int]m[[]m[]]");
  EXPECT_EQ(Tokens("1..2"), "!n[1]m[.]n[.2]");
  EXPECT_EQ(Tokens("'a\\' b"), "!s['a\\']w[b]");
}

TEST(Lexer, WhatDoesNotEnd) {
  for (const char* text :
       {"'a", "\"a", "/* a", "/* /* */", "e'a\\'", "$$a", "$a$ $b$", "$a", "\\", "{", "\x01"})
    EXPECT_EQ(Tokens(text), "?") << text;
}

}  // namespace
}  // namespace sallyport::sql
