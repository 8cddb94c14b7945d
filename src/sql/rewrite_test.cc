#include "sql/rewrite.h"

#include <gtest/gtest.h>

#include "sql/analyze.h"
#include "sql/lab_for_tests.h"
#include "sql/mask_expression.h"

namespace sallyport::sql {
namespace {

AnalysisPtr Look(std::string_view text, bool source_only = false) {
  static Analyzer analyzer({}), strict({.source_only = true});
  static const auto catalog = LabCatalog();
  return (source_only ? strict : analyzer).Analyze(text, catalog, SessionNames{});
}

void Replace(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
}

/// What a text became, with the long generated parts under short names: {payments} for the masked
/// relation, <p.card_number> for a masked reference.
std::string Short(std::string_view text, bool source_only = false) {
  auto a = Look(text, source_only);
  if (a->route != Route::rewritten) {
    return "route " + std::to_string(static_cast<int>(a->route)) + " " + a->refusal.detail;
  }
  static const auto catalog = LabCatalog();
  std::string out = a->sql;
  for (const auto& relation : catalog->content().relations) {
    Replace(out, MaskedRelation(relation, false), "{" + relation.name + "}");
    Replace(out, MaskedRelation(relation, true), "{only " + relation.name + "}");
    for (const char* alias : {"p", "payments", "refunds", "q"}) {
      for (const auto& column : relation.columns) {
        if (!column.classified()) continue;
        auto reference = QuoteIdentifier(alias) + "." + QuoteIdentifier(column.name);
        Replace(out, "(" + MaskExpression(column, reference) + ")",
                "<" + std::string(alias) + "." + column.name + ">");
      }
    }
  }
  return out;
}

struct Case {
  const char* text;
  const char* becomes;
};
class BecomesTest : public testing::TestWithParam<Case> {};
TEST_P(BecomesTest, MaskedByConstruction) { EXPECT_EQ(Short(GetParam().text), GetParam().becomes); }

INSTANTIATE_TEST_SUITE_P(
    All, BecomesTest,
    testing::Values(
        Case{"select reverse(card_number) from payments",
             "select reverse(card_number) from  {payments} AS \"payments\" "},
        Case{"select reverse(card_number) from payments as p where id = 1",
             "select reverse(card_number) from  {payments}  as p where id = 1"},
        Case{"select upper(card_number) from only payments",
             "select upper(card_number) from  {only payments} AS \"payments\" "},
        Case{"select upper(card_number) from only (payments) p",
             "select upper(card_number) from  {only payments}  p"},
        Case{"select upper(card_number) from payments * p",
             "select upper(card_number) from  {payments}  p"},
        Case{"select upper(card_number)from\"payments\"",
             "select upper(card_number)from {payments} AS \"payments\" "},
        Case{"table payments; select 1", " SELECT * FROM {payments} AS \"payments\" ; select 1"},
        Case{"select upper(public.payments.card_number), payments.id from public.payments",
             "select upper(\"payments\".card_number), payments.id from  {payments} AS "
             "\"payments\" "},
        Case{"with t(a, b) as (select id, card_number from payments) select b from t",
             "with t(a, b) as (select id, card_number from  {payments} AS \"payments\" ) select b "
             "from t"},
        Case{"with payments as (select * from payments) select card_number from payments",
             "with payments as (select * from  {payments} AS \"payments\" ) select card_number "
             "from payments"},
        Case{"select l.z from customers c, lateral (select card_number z from payments p where "
             "p.customer_id = c.id) l",
             "select l.z from customers c, lateral (select card_number z from  {payments}  p where "
             "p.customer_id = c.id) l"},
        Case{"select card_number from payments full join refunds using (card_number)",
             "select card_number from  {payments} AS \"payments\"  full join  {refunds} AS "
             "\"refunds\"  using (card_number)"},
        Case{"select p from payments p", "select p from  {payments}  p"},
        Case{"select (p).card_number from payments p",
             "select (p).card_number from  {payments}  p"},
        Case{"select card_number from payments union select name from customers",
             "select card_number from  {payments} AS \"payments\"  union select name from "
             "customers"},
        Case{"select id from payments where card_number like '4539%'",
             "select id from  {payments} AS \"payments\"  where card_number like '4539%'"},
        Case{"select id from payments order by card_number",
             "select id from  {payments} AS \"payments\"  order by card_number"},
        Case{"select card_number from payments order by 1",
             "select card_number from  {payments} AS \"payments\"  order by 1"},
        Case{"select card_number as c from payments order by c",
             "select card_number as c from  {payments} AS \"payments\"  order by c"},
        Case{"select distinct card_number from payments",
             "select distinct card_number from  {payments} AS \"payments\" "},
        Case{"select card_number from payments for update of payments",
             "select card_number from  {payments} AS \"payments\"  for update of payments"},
        Case{"select 1 limit (select substr(card_number, 7, 1)::int from payments where id = 1)",
             "select 1 limit (select substr(card_number, 7, 1)::int from  {payments} AS "
             "\"payments\"  where id = 1)"},
        Case{"copy (select card_number from payments) to stdout",
             "copy (select card_number from  {payments} AS \"payments\" ) to stdout"},
        Case{"explain select 1 from payments where card_number > '4'",
             "explain select 1 from  {payments} AS \"payments\"  where card_number > '4'"},
        Case{"prepare z as select card_number from payments where id = $1",
             "prepare z as select card_number from  {payments} AS \"payments\"  where id = $1"},
        Case{"select r from v_expr", "select r from  {v_expr} AS \"v_expr\" "},
        Case{"select pan from cards_num where pan > 1",
             "select pan from  {cards_num} AS \"cards_num\"  where pan > 1"},
        // Where a sub-select has not what is asked for, the references are replaced.
        Case{"select p.id, p.card_number, count(*) from payments p group by p.id",
             "select p.id,  <p.card_number> AS \"card_number\" , count(*) from payments p group by "
             "p.id"},
        Case{"select card_number, count(*) from payments group by card_number",
             "select  <payments.card_number> AS \"card_number\" , count(*) from payments group by  "
             "<payments.card_number> "},
        Case{"select ctid, upper(card_number) from payments",
             "select ctid, upper( <payments.card_number> ) from payments"},
        Case{"select upper(card_number) from payments p tablesample system (10)",
             "select upper( <p.card_number> ) from payments p tablesample system (10)"},
        // Changes: what they return.
        Case{"update payments set status = 'x' where id = 1 returning reverse(card_number), id",
             "update payments set status = 'x' where id = 1 returning reverse( "
             "<payments.card_number> ), id"},
        Case{"with d as (delete from payments p where id = 1 returning p.card_number, cvv as z) "
             "select * from d",
             "with d as (delete from payments p where id = 1 returning  <p.card_number> AS "
             "\"card_number\" ,  <p.cvv>  as z) select * from d"},
        Case{
            "with d as (delete from refunds where id = 1 returning *) select * from d",
            "with d as (delete from refunds where id = 1 returning  \"refunds\".\"id\", "
            "<refunds.card_number> AS \"card_number\", \"refunds\".\"amount\" ) select * from d"}));

TEST(Rewrite, CopyOfSomeColumns) {
  auto a = Look("copy refunds(card_number) to stdout");
  EXPECT_NE(a->sql.find("(SELECT (CASE WHEN"), std::string::npos);
  EXPECT_EQ(a->sql.find("\"amount\""), std::string::npos);
  EXPECT_NE(a->sql.find("FROM ONLY \"public\".\"refunds\")  to stdout"), std::string::npos);
  EXPECT_EQ(Look("copy refunds(id, amount) to stdout")->sql, "");
}

TEST(Rewrite, SourceOnlyNeverReliesOnTheRelay) {
  EXPECT_EQ(Short("select card_number from payments", true),
            "select card_number from  {payments} AS \"payments\" ");
  EXPECT_EQ(Short("insert into refunds values (1) returning card_number", true),
            "insert into refunds values (1) returning  <refunds.card_number> AS \"card_number\" ");
}

TEST(Rewrite, ManyStatementsInOneText) {
  EXPECT_EQ(Short("begin; declare c cursor for select card_number from payments; fetch all from "
                  "c; rollback"),
            "begin; declare c cursor for select card_number from  {payments} AS \"payments\" ; "
            "fetch all from c; rollback");
  EXPECT_EQ(Short("select card_number from payments; select id from payments"),
            "select card_number from  {payments} AS \"payments\" ; select id from payments");
}

TEST(Rewrite, NothingOfTheTypeMeansNull) {
  CatalogColumn number{.name = "n", .type = 20, .type_name = "bigint", .mask = SourceMask::last4};
  EXPECT_EQ(MaskExpression(number, "\"n\""), "NULL::bigint");
  CatalogColumn hidden{.name = "n", .type = 25, .type_name = "text", .mask = SourceMask::null};
  EXPECT_EQ(MaskExpression(hidden, "\"n\""), "NULL::text");
  CatalogColumn derived{
      .name = "n", .type = 25, .type_name = "text", .mask = SourceMask::last4, .derived = true};
  EXPECT_EQ(MaskExpression(derived, "\"n\""), "NULL::text");
  CatalogColumn plain{.name = "n", .type = 25, .type_name = "text"};
  EXPECT_EQ(MaskExpression(plain, "\"n\""), "\"n\"");
  EXPECT_EQ(QuoteIdentifier("a\"b"), "\"a\"\"b\"");
}

}  // namespace
}  // namespace sallyport::sql
