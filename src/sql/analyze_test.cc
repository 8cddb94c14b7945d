#include "sql/analyze.h"

#include <algorithm>
#include <gtest/gtest.h>

#include "sql/lab_for_tests.h"

namespace sallyport::sql {
namespace {

AnalysisPtr Look(std::string_view text, bool source_only = false) {
  static Analyzer analyzer({}), strict({.source_only = true});
  static const auto catalog = LabCatalog();
  return (source_only ? strict : analyzer).Analyze(text, catalog, SessionNames{});
}

TEST(Analyze, NothingClassifiedGoesAsItIs) {
  for (const char* text :
       {"select 1", "select * from customers", "select body from notes where id = 1", "",
        "insert into notes(body) values ('x') returning *", "begin; commit", "show timezone",
        "update customers set score = score + 1 where id = 1", "select fee(1)",
        "create table t2(a int)", "set application_name = 'x'", "explain select * from notes"}) {
    auto a = Look(text);
    EXPECT_EQ(a->route, Route::as_is) << text << ": " << a->refusal.detail;
    EXPECT_FALSE(a->classified) << text;
  }
}

TEST(Analyze, BareColumnsAreMaskedByOrigin) {
  auto a = Look("select id, p.card_number, status as x from payments p where id = 1");
  ASSERT_EQ(a->route, Route::by_origin) << a->refusal.detail;
  ASSERT_EQ(a->outputs.size(), 1u);
  EXPECT_EQ(a->outputs[0].index, 1u);
  EXPECT_EQ(a->outputs[0].relation, 16400u);
  EXPECT_EQ(a->outputs[0].column, 3);
  EXPECT_EQ(a->outputs[0].mask, SourceMask::last4);
  EXPECT_TRUE(a->classified);

  a = Look("select c.name, p.card_number from customers c join payments p on p.customer_id = c.id");
  ASSERT_EQ(a->route, Route::by_origin);
  EXPECT_EQ(a->outputs[0].index, 1u);

  a = Look("update payments set status = 'ok' where id = 1 returning card_number");
  ASSERT_EQ(a->route, Route::by_origin) << a->refusal.detail;
  EXPECT_EQ(a->outputs.size(), 1u);

  a = Look("select ref from v_rename");
  ASSERT_EQ(a->route, Route::by_origin);
  EXPECT_EQ(a->outputs[0].column, 2);
}

TEST(Analyze, WhatNobodyMaySeeIsNotEvenRead) {
  for (const char* text : {"select cvv from payments", "select * from payments",
                           "select c.name, p.* from customers c join payments p on true",
                           "update payments set status = 'ok' where id = 1 returning *"}) {
    auto a = Look(text);
    ASSERT_EQ(a->route, Route::rewritten) << text << ": " << a->refusal.detail;
    EXPECT_NE(a->sql.find("NULL"), std::string::npos) << a->sql;
    EXPECT_TRUE(a->outputs.empty());
  }
}

TEST(Analyze, ColumnsNobodyNamesNeedNothing) {
  for (const char* text :
       {"select customer_id, count(*) from payments group by 1",
        "select p.id, p.cardholder, count(*) from payments p join refunds r on r.id = p.id "
        "group by p.id",
        "select id from payments where amount > 5 for update", "delete from payments where id = 1",
        "update payments set status = 'x' where id = 1",
        "insert into payments(id, card_number) values (1, '4539577986432614')",
        "select ctid from payments where id = 1",
        "insert into notes(body) select cardholder from payments"}) {
    auto a = Look(text);
    EXPECT_EQ(a->route, Route::by_origin) << text << ": " << a->refusal.detail;
    EXPECT_TRUE(a->outputs.empty()) << text;
    EXPECT_TRUE(a->classified) << text;
    EXPECT_EQ(Look(text, true)->route, Route::as_is) << text;
  }
}

TEST(Analyze, NamesAreResolved) {
  auto a = Look("select p.*, c.name from payments p, customers c");
  ASSERT_EQ(a->text.statements.size(), 1u);
  const auto& s = a->text.statements[0];
  EXPECT_FALSE(s.star);
  EXPECT_EQ(s.relations[0].name, "public.payments");
  auto has = [&](const char* name) {
    return std::ranges::find(s.columns, name) != s.columns.end();
  };
  EXPECT_TRUE(has("public.payments.cvv"));
  EXPECT_TRUE(has("public.customers.name"));
  EXPECT_FALSE(has("public.customers.email"));
}

struct Refusal {
  const char* text;
  Errc code = Errc::sql_not_maskable;
};
class RefusedTest : public testing::TestWithParam<Refusal> {};
TEST_P(RefusedTest, WithItsReason) {
  auto a = Look(GetParam().text);
  EXPECT_EQ(a->route, Route::refused) << GetParam().text;
  EXPECT_EQ(ReasonCode(a->refusal.code), ReasonCode(GetParam().code)) << GetParam().text;
  EXPECT_FALSE(a->refusal.detail.empty());
}
INSTANTIATE_TEST_SUITE_P(
    All, RefusedTest,
    testing::Values(
        Refusal{"update payments set card_number = '4539577986432614' where id = 2"},
        Refusal{"update v_rename set ref = '4000056509885772' where k = 2"},
        Refusal{"update payments set status = card_number where id = 1"},
        Refusal{"delete from payments where card_number like '4539%'"},
        Refusal{"update customers set email = reverse(p.card_number) from payments p"},
        Refusal{"insert into notes(body) select card_number from payments"},
        Refusal{"create table t as select card_number from payments"},
        Refusal{"select card_number into t from payments"},
        Refusal{"create view vx as select reverse(card_number) q from payments"},
        Refusal{"select setval('lseq', (select substr(card_number,1,16)::bigint from payments))"},
        Refusal{"select get_card(1)"}, Refusal{"select * from all_pay()"},
        Refusal{"explain select * from customers where name = get_card_imm(1)"},
        Refusal{"select * from run_sql('select 1')"}, Refusal{"do $$ begin end $$"},
        Refusal{"select query_to_xml('select 1', true, false, '')"},
        Refusal{"select * from dblink('x', 'y') as t(x text)"},
        Refusal{"select lo_import('/etc/passwd')"}, Refusal{"select 1 from nosuch"},
        Refusal{"select nosuch(1)"}, Refusal{"select public.nosuch(1)"},
        Refusal{"select * from pg_stats"},
        Refusal{"select histogram_bounds from pg_catalog.pg_stats"},
        Refusal{"select reverse(query) from pg_stat_activity"},
        Refusal{"select 1 from pg_stat_activity where query like '%4539%'"},
        Refusal{"select reverse(pg_get_indexdef(1))"}, Refusal{"select 'a' === 'b'"},
        Refusal{"alter table payments rename column cvv to harmless"},
        Refusal{"alter table payments add column g text generated always as (card_number) stored"},
        Refusal{"create index i on payments (substr(card_number, 7, 1))"},
        Refusal{"create unique index i on payments (card_number)"},
        Refusal{"create rule r as on insert to notes do also delete from payments"},
        Refusal{"call pr('x')"}, Refusal{"execute nosuch"}, Refusal{"fetch all from nosuch"},
        Refusal{"merge into payments p using customers c on p.customer_id = c.id when matched and "
                "p.cvv = '1' then delete"},
        Refusal{"set standard_conforming_strings = off", Errc::sql_state_refused},
        Refusal{"set client_encoding = 'SJIS'", Errc::sql_state_refused},
        Refusal{"set names 'BIG5'", Errc::sql_state_refused},
        Refusal{"set role x", Errc::sql_state_refused},
        Refusal{"set sallyport.unmask = 'pan'", Errc::sql_state_refused},
        Refusal{"set search_path = pg_temp, public", Errc::sql_state_refused},
        Refusal{"set client_min_messages = debug1", Errc::sql_state_refused},
        Refusal{"set debug_print_plan = on", Errc::sql_state_refused},
        Refusal{"select set_config('role', 'x', false)", Errc::sql_state_refused},
        Refusal{"selec 1", Errc::sql_unparsable}, Refusal{"select '\xff'", Errc::sql_unparsable}));

TEST(Analyze, CallsThatLookLikeColumnsAndOperatorsAreFunctions) {
  const auto calls = [](std::string_view text, std::string_view function) {
    const auto a = Look(text);
    EXPECT_EQ(a->text.statements.size(), 1u) << text;
    return std::ranges::count(a->text.statements.at(0).functions, function) == 1;
  };
  EXPECT_TRUE(calls("select fee(n.id) from notes n", "public.fee"));
  EXPECT_TRUE(calls("select n.fee from notes n", "public.fee"));
  EXPECT_TRUE(calls("select (n).fee from notes n", "public.fee"));
  EXPECT_TRUE(calls("select public.notes.fee from public.notes", "public.fee"));
  EXPECT_FALSE(calls("select n.body, (n).body from notes n", "public.fee"));
}

TEST(Analyze, NamesOfASessionStandForWhatIsBehindThem) {
  struct Session : SessionNames {
    AnalysisPtr behind;
    AnalysisPtr Lookup(std::string_view name) const override {
      return name == "s" ? behind : nullptr;
    }
  } session;
  Analyzer analyzer({});
  auto catalog = LabCatalog();
  session.behind = analyzer.Analyze("select card_number from payments", catalog, session);
  ASSERT_EQ(session.behind->route, Route::by_origin);
  auto a = analyzer.Analyze("execute s", catalog, session);
  EXPECT_EQ(a->route, Route::by_origin);
  EXPECT_EQ(a->outputs.size(), 1u);
  EXPECT_EQ(a->kind, "EXECUTE");
  EXPECT_TRUE(a->returns_rows);
  ASSERT_EQ(a->text.statements.size(), 1u);
  EXPECT_EQ(a->text.statements[0].kind, "SELECT");
  EXPECT_EQ(a->text.statements[0].relations[0].name, "public.payments");
  EXPECT_EQ(analyzer.Analyze("fetch all from s", catalog, session)->outputs.size(), 1u);
  // Which of several results the outputs are of, nobody could say.
  for (const char* text : {"execute s; select 1", "execute s; execute s",
                           "select upper(card_number) from payments; execute s"}) {
    EXPECT_EQ(analyzer.Analyze(text, catalog, session)->route, Route::refused) << text;
  }
  session.behind = analyzer.Analyze("select upper(card_number) from payments", catalog, session);
  EXPECT_EQ(analyzer.Analyze("execute s; execute s", catalog, session)->route, Route::as_is);
  session.behind = nullptr;
  EXPECT_EQ(analyzer.Analyze("execute s", catalog, session)->route, Route::refused);

  a = Look("prepare z(int) as insert into notes(body) values ('x')");
  ASSERT_EQ(a->names.size(), 1u);
  EXPECT_EQ(a->names[0].what, NameEffect::What::prepare);
  EXPECT_EQ(a->names[0].name, "z");
  EXPECT_EQ(a->kind, "PREPARE");
  EXPECT_EQ(a->text.statements[0].kind, "INSERT");
  EXPECT_FALSE(a->names[0].inner->returns_rows);
  EXPECT_EQ(Look("deallocate all")->names[0].what, NameEffect::What::deallocate_all);
  EXPECT_EQ(Look("close c")->names[0].what, NameEffect::What::close);
  EXPECT_EQ(Look("discard all")->names[0].what, NameEffect::What::discard_all);
}

TEST(Analyze, ACursorThatAFunctionHasOpened) {
  struct Session : SessionNames {
    bool Knows(std::string_view name) const override { return name == "unsure"; }
  } session;
  Analyzer analyzer({});
  const auto nothing_classified = std::make_shared<const Catalog>(Catalog::Content{});
  const auto a = analyzer.Analyze("fetch all from c", nothing_classified, session);
  EXPECT_EQ(a->route, Route::as_is);
  EXPECT_TRUE(a->returns_rows);
  ASSERT_EQ(a->text.statements.size(), 1u);
  EXPECT_EQ(a->text.statements[0].kind, "FETCH");
  EXPECT_EQ(analyzer.Analyze("fetch all from c", LabCatalog(), session)->route, Route::refused);
  for (const char* text : {"fetch all from unsure", "execute c", "execute unsure"})
    EXPECT_EQ(analyzer.Analyze(text, nothing_classified, session)->route, Route::refused) << text;
}

TEST(Analyze, NoTextTakesLong) {
  std::string nested = "select 1";
  for (int i = 0; i < 25; ++i) {
    auto n = std::to_string(i);
    nested = "with recursive r" + n + " as ((" + nested + ") union select 1) select 1";
  }
  EXPECT_EQ(Look(nested)->route, Route::as_is);
  std::string stars = "with c0 as (select * from payments)";
  for (int i = 1; i < 24; ++i) {
    auto n = std::to_string(i - 1);
    stars += ", c" + std::to_string(i) + " as (select a.*, b.* from c" + n + " a, c" + n + " b)";
  }
  EXPECT_EQ(Look(stars + " select count(*) from c23")->route, Route::refused);
  std::string natural = "select * from payments p0";
  for (int i = 1; i < 150; ++i) natural += " natural join payments p" + std::to_string(i);
  EXPECT_EQ(Look(natural)->route, Route::refused);
  std::string many;
  for (int i = 0; i < 900; ++i) many += "select upper(card_number) from payments;";
  EXPECT_EQ(Look(many)->route, Route::refused);
  // One right side for each of many columns: the tree would be their product.
  std::string names, values;
  for (int i = 0; i < 8000; ++i) {
    names += (i ? ",a" : "a") + std::to_string(i);
    values += i ? ",1" : "1";
  }
  EXPECT_EQ(Look("update notes set (" + names + ") = (select " + values + ")")->route,
            Route::refused);
  EXPECT_EQ(Look("update notes set (body, tags) = (select 'x', '" + std::string(9000, 'x') +
                 "') where id = 1")
                ->route,
            Route::as_is);
  EXPECT_EQ(Look("select " + std::string(5000, '(') + "1" + std::string(5000, ')'))->route,
            Route::as_is);
  EXPECT_EQ(Look("select '" + std::string(10 << 20, 'x') + "'")->route, Route::refused);
}

TEST(Analyze, TemporaryRelationsAndOwnNames) {
  Analyzer analyzer({});
  auto catalog = LabCatalog();
  SessionNames names;
  names.search_path = {"pg_temp_3", "pg_catalog", "public"};
  EXPECT_EQ(analyzer.Analyze("select relname from pg_class", catalog, names)->route, Route::as_is);
  EXPECT_EQ(analyzer.Analyze("select * from pg_stats", catalog, names)->route, Route::refused);
  names.search_path = {"public"};
  EXPECT_EQ(analyzer.Analyze("select relname from pg_class", catalog, names)->route, Route::as_is);
  EXPECT_EQ(
      analyzer.Analyze("select upper(card_number) from pg_temp.payments", catalog, names)->route,
      Route::refused);
  // A relation that only looks like one of PostgreSQL's own is not known.
  EXPECT_EQ(analyzer.Analyze("select * from pg_cards", catalog, names)->route, Route::refused);
}

TEST(Analyze, ARelationThatIsNotThere) {
  EXPECT_EQ(Look("select * from nowhere")->missing, "nowhere");
  EXPECT_EQ(Look("select 1 from payments p join shop.Gone using (id)")->missing, "shop.gone");
  EXPECT_EQ(Look("insert into nowhere values (1)")->missing, "nowhere");
  EXPECT_EQ(Look("select get_card(1) from nowhere")->route, Route::refused);
  // What is refused for another reason first is refused for that.
  EXPECT_EQ(Look("select 1; select get_card(1); select * from nowhere")->missing, "");
  EXPECT_EQ(Look("select * from pg_stats")->missing, "");
  EXPECT_EQ(Look("select * from payments")->missing, "");
}

TEST(Analyze, FunctionsThatNoStatementNames) {
  auto content = LabCatalog()->content();
  content.hidden = {.operators = {"||", ">=", "="}, .types = {"peeked"}, .implicit = {25}};
  const auto catalog = std::make_shared<const Catalog>(std::move(content));
  Analyzer analyzer({});
  const auto route = [&](std::string_view text) {
    return analyzer.Analyze(text, catalog, SessionNames{})->route;
  };
  for (const char* text :
       {"select 1 || 1", "select 1 operator(public.||) 1", "select 1 between 0 and 2",
        "select 1 in (2, 3)", "select case 1 when 2 then 3 end", "select 1 = any (array[1])",
        "select nullif(1, 2)", "select 1 from dropcol a join dropcol b using (b)",
        "select 1 from dropcol a natural join dropcol b", "select row(1)::peeked",
        "select cast(1 as public.peeked)", "select peeked(1)", "select array[1]::peeked[]",
        "select id from notes", "select fee(1)", "select 1 order by 1 using ||",
        "delete from ledger where id = 1"})
    EXPECT_EQ(route(text), Route::refused) << text;
  for (const char* text : {"select 1 + 1", "select id from ledger where id < 3", "select 1::text",
                           "select case when id < 1 then 2 end from ledger", "select upper('x')"})
    EXPECT_EQ(route(text), Route::as_is) << text;
}

TEST(Analyze, OperatorsAndCastsThatSomebodyMadeAreNamed) {
  auto content = LabCatalog()->content();
  content.hidden = {.own_operators = {"@@@", "="}, .own_types = {"mine"}};
  const auto catalog = std::make_shared<const Catalog>(std::move(content));
  Analyzer analyzer({});
  const auto functions = [&](std::string_view text) {
    const auto a = analyzer.Analyze(text, catalog, SessionNames{});
    EXPECT_EQ(a->route, Route::as_is) << text;
    return a->text.statements.at(0).functions;
  };
  using Names = std::vector<std::string>;
  EXPECT_EQ(functions("select id @@@ 1, id @@@ 2 from ledger"), Names{"operator @@@"});
  EXPECT_EQ(functions("select 1 in (2)"), Names{"operator ="});
  EXPECT_EQ(functions("select row(1)::mine"), Names{"cast of mine"});
  EXPECT_EQ(functions("select 1 + 1 between 0 and 3"), Names{});
}

TEST(Analyze, AnswersAreRememberedByTextAndCatalog) {
  Analyzer analyzer({});
  auto one = LabCatalog(1), two = LabCatalog(1);
  auto a = analyzer.Analyze("select 1", one, SessionNames{});
  EXPECT_EQ(a, analyzer.Analyze("select 1", one, SessionNames{}));
  EXPECT_NE(a, analyzer.Analyze("select 1", two, SessionNames{}));
  SessionNames other;
  other.search_path = {"pg_catalog", "elsewhere"};
  EXPECT_NE(a, analyzer.Analyze("select 1", one, other));
  EXPECT_EQ(analyzer.stats().exact_hits, 1u);
  EXPECT_EQ(analyzer.stats().misses, 3u);
}

}  // namespace
}  // namespace sallyport::sql
