#include "sql/shape.h"

#include <gtest/gtest.h>
#include <random>

#include "sql/lab_for_tests.h"
#include "sql/text_analysis.h"

namespace sallyport::sql {
namespace {

std::string KeyOf(std::string_view text) {
  Shape shape;
  return shape.Read(text) ? shape.key() : "none";
}

TEST(Shape, LiteralsAreLeftOut) {
  EXPECT_EQ(KeyOf("select a from t where b = 12 and c = 'x'"),
            KeyOf("select a from t where b = 1.5e3 and c = 'it''s'"));
  EXPECT_NE(KeyOf("select 1"), KeyOf("select '1'"));
  EXPECT_NE(KeyOf("select a1"), KeyOf("select a2"));
  EXPECT_NE(KeyOf("select $1"), KeyOf("select $2"));
  EXPECT_NE(KeyOf("select -1"), KeyOf("select 1"));
  EXPECT_NE(KeyOf("select \"1\""), KeyOf("select \"2\""));
}

TEST(Shape, WhatCouldBeReadInAnotherWayHasNone) {
  for (const char* text : {"select e'x'",      "select E'x\\''", "select b'1'",
                           "select x'ff'",     "select n'x'",    "select U&'x'",
                           "select $$x$$",     "select $a$x$a$", "select 'a' 'b'",
                           "select 'a'\n'b'",  "select 1 -- c",  "select /* c */ 1",
                           "select 1a",        "select 0x10",    "select 1_000",
                           "select 'a\\'",     "set x = 1",      "create table t(a int)",
                           "select 'a",        "select \"a",     "",
                           "explain select 1", "select 1.e",     "select 1.2.3",
                           "select a'x'"}) {
    EXPECT_EQ(KeyOf(text), "none") << text;
  }
}

TEST(Shape, PlacesGoBothWays) {
  Shape shape;
  std::string_view text = "select 'long literal', 123 from t where a = 5";
  ASSERT_TRUE(shape.Read(text));
  size_t at = text.find("from"), later = text.find("a =");
  EXPECT_EQ(shape.key().substr(shape.ToKey(at), 4), "from");
  EXPECT_EQ(shape.ToText(shape.ToKey(at)), at);
  EXPECT_EQ(shape.ToText(shape.ToKey(later)), later);
  EXPECT_EQ(shape.ToText(shape.ToKey(7)), 7u);
}

void ExpectSame(const Analysis& a, const Analysis& b, const std::string& text) {
  EXPECT_EQ(a.route, b.route) << text;
  EXPECT_EQ(a.sql, b.sql) << text;
  EXPECT_EQ(a.refusal.detail, b.refusal.detail) << text;
  EXPECT_EQ(a.classified, b.classified) << text;
  EXPECT_EQ(a.statements, b.statements) << text;
  EXPECT_EQ(a.kind, b.kind) << text;
  EXPECT_EQ(a.returns_rows, b.returns_rows) << text;
  ASSERT_EQ(a.outputs.size(), b.outputs.size()) << text;
  for (size_t i = 0; i < a.outputs.size(); ++i) {
    EXPECT_EQ(a.outputs[i].index, b.outputs[i].index) << text;
    EXPECT_EQ(a.outputs[i].column, b.outputs[i].column) << text;
  }
  ASSERT_EQ(a.text.statements.size(), b.text.statements.size()) << text;
  for (size_t i = 0; i < a.text.statements.size(); ++i) {
    const auto &x = a.text.statements[i], &y = b.text.statements[i];
    EXPECT_EQ(x.kind, y.kind) << text;
    EXPECT_EQ(x.effect, y.effect) << text;
    EXPECT_EQ(x.columns, y.columns) << text;
    EXPECT_EQ(x.functions, y.functions) << text;
    EXPECT_EQ(x.missing_where, y.missing_where) << text;
    EXPECT_EQ(x.unbounded, y.unbounded) << text;
    EXPECT_EQ(x.star, y.star) << text;
  }
}

/// `#` is a number, `@` a string.
constexpr const char* kTemplates[] = {
    "select id, card_number from payments where id = #",
    "select reverse(card_number), @ from payments where id = # and card_number like @",
    "select card_number, @ from payments order by #",
    "select card_number, id from payments where id in (#, #, #) order by # limit #",
    "select @, p.card_number, # from payments p group by #, p.id",
    "select name from customers where id = # or # = #",
    "update payments set status = @ where id = # returning card_number",
    "update payments set status = @ where # = # returning upper(card_number)",
    "insert into notes(body) values (@), (@) returning id",
    "delete from payments where id = # and status = @",
    "with t as (select card_number c, # from payments limit #) select @, c from t",
    "select @ || c from (select card_number c from public.payments where public.payments.id = #) s",
    "select set_config(@, @, false)",
    "select get_card(#)",
    "select pg_get_indexdef(#) = @",
    "select btrim(pg_get_indexdef(#), @)",
    "select id from payments union select # order by #",
    "select distinct on (#) card_number, id from payments",
    "values (#, @)",
    "select date @ , interval @ from payments where cvv = @",
};

TEST(Shape, TheAnswerIsThatOfTheTextItself) {
  std::mt19937 random(7);
  auto catalog = LabCatalog();
  Analyzer analyzer({.cache_entries = 500});
  const char* numbers[] = {"0", "1", "2", "3", "7", "42", "1.5", "99999999999", ".5", "1e9"};
  const char* strings[] = {"''",     "'x'",          "'it''s'",       "'4539577986432614'",
                           "'role'", "'\"'",         "'--'",          "'/*'",
                           "'a; b'", "'timezone'",   "'search_path'", "'select card_number'",
                           "'\n'",   "'2020-01-01'", "'%'",           "'card_number'"};
  for (int round = 0; round < 300; ++round) {
    for (const char* pattern : kTemplates) {
      std::string text;
      for (const char* c = pattern; *c; ++c) {
        if (*c == '#') {
          text += numbers[random() % std::size(numbers)];
        } else if (*c == '@') {
          text += strings[random() % std::size(strings)];
        } else {
          text += *c;
        }
      }
      auto fresh = JudgeText(text, *catalog, SessionNames{}, {});
      ExpectSame(*analyzer.Analyze(text, catalog, SessionNames{}), *fresh.analysis, text);
      if (testing::Test::HasFailure()) return;
    }
  }
  auto stats = analyzer.stats();
  EXPECT_GT(stats.shape_hits, 1000u);
  EXPECT_GT(stats.exact_hits + stats.misses, 100u);
}

}  // namespace
}  // namespace sallyport::sql
