#include "sql/classify.h"

#include <algorithm>
#include <gtest/gtest.h>

namespace sallyport::sql {
namespace {

using op::Effect;

op::SqlStatement One(std::string_view text) {
  auto read = Classify(text);
  EXPECT_TRUE(read.known.complete) << text;
  EXPECT_EQ(read.statements.size(), 1u) << text;
  return read.statements.empty() ? op::SqlStatement{} : read.statements[0];
}

std::vector<std::string> Relations(const op::SqlStatement& s) {
  std::vector<std::string> names;
  for (const auto& r : s.relations) names.push_back(r.name + (r.written ? "!" : ""));
  std::ranges::sort(names);
  return names;
}

using Names = std::vector<std::string>;

struct Case {
  const char* text;
  const char* kind;
  Effect effect;
};

class KindTest : public testing::TestWithParam<Case> {};

TEST_P(KindTest, WorstEffectCounts) {
  auto s = One(GetParam().text);
  EXPECT_EQ(s.kind, GetParam().kind) << GetParam().text;
  EXPECT_EQ(s.effect, GetParam().effect) << GetParam().text;
}

INSTANTIATE_TEST_SUITE_P(
    All, KindTest,
    testing::Values(
        Case{"select 1", "SELECT", Effect::read}, Case{"table t", "SELECT", Effect::read},
        Case{"values (1)", "SELECT", Effect::read},
        Case{"show server_version", "SHOW", Effect::read},
        Case{"insert into t values (1)", "INSERT", Effect::write},
        Case{"update t set a = 1 where id = 2", "UPDATE", Effect::write},
        Case{"delete from t where id = 2", "DELETE", Effect::write},
        Case{"merge into t using s on t.a = s.a when matched then delete", "MERGE", Effect::write},
        Case{"with d as (delete from t where id = 1 returning *) select * from d", "SELECT",
             Effect::write},
        Case{"select * into n from t", "SELECT", Effect::ddl},
        Case{"create table n as select 1", "CREATE", Effect::ddl},
        Case{"explain select 1", "EXPLAIN", Effect::read},
        Case{"explain delete from t", "EXPLAIN", Effect::read},
        Case{"explain analyze delete from t", "EXPLAIN", Effect::write},
        Case{"explain (analyze, verbose) update t set a = 1", "EXPLAIN", Effect::write},
        Case{"explain (analyze off) delete from t", "EXPLAIN", Effect::read},
        Case{"explain (analyze 1) delete from t", "EXPLAIN", Effect::write},
        Case{"copy t to stdout", "COPY", Effect::read},
        Case{"copy t from stdin", "COPY FROM", Effect::write},
        Case{"copy t to '/tmp/x'", "COPY FILE", Effect::admin},
        Case{"copy t to program 'curl x'", "COPY PROGRAM", Effect::admin},
        Case{"copy (delete from t returning *) to stdout", "COPY", Effect::write},
        Case{"do $$ begin end $$", "DO", Effect::admin},
        Case{"call purge(1)", "CALL", Effect::admin},
        Case{"create function f() returns int language sql as 'select 1'", "CREATE FUNCTION",
             Effect::admin},
        Case{"set role admin", "SET ROLE", Effect::admin},
        Case{"set session authorization x", "SET SESSION AUTHORIZATION", Effect::admin},
        Case{"set search_path = evil", "SET search_path", Effect::admin},
        Case{"reset all", "RESET all", Effect::admin},
        Case{"set application_name = 'x'", "SET", Effect::read},
        Case{"set time zone 'UTC'", "SET", Effect::read},
        Case{"set client_encoding = 'UTF8'", "SET", Effect::read},
        Case{"set client_encoding = 'SJIS'", "SET client_encoding", Effect::admin},
        Case{"set transaction read write", "SET TRANSACTION", Effect::write},
        Case{"set session_replication_role = replica", "SET session_replication_role",
             Effect::admin},
        Case{"discard all", "DISCARD", Effect::admin}, Case{"drop table t", "DROP", Effect::ddl},
        Case{"truncate t", "TRUNCATE", Effect::ddl},
        Case{"alter table t add c int", "ALTER", Effect::ddl},
        Case{"grant select on t to x", "GRANT", Effect::admin},
        Case{"create role r", "CREATE ROLE", Effect::admin},
        Case{"alter system set x = 1", "ALTER SYSTEM", Effect::admin},
        Case{"load 'x'", "LOAD", Effect::admin},
        Case{"prepare p as delete from t", "PREPARE", Effect::write},
        Case{"execute p", "EXECUTE", Effect::admin},
        Case{"declare c cursor for select 1", "DECLARE", Effect::read},
        Case{"fetch all c", "FETCH", Effect::read}, Case{"begin", "BEGIN", Effect::none},
        Case{"start transaction", "BEGIN", Effect::none}, Case{"commit", "COMMIT", Effect::none},
        Case{"rollback to savepoint s", "ROLLBACK TO", Effect::none},
        Case{"commit prepared 'x'", "COMMIT PREPARED", Effect::admin},
        Case{"lock table t", "LOCK", Effect::write}, Case{"vacuum t", "VACUUM", Effect::write},
        Case{"notify c", "NOTIFY", Effect::write},
        Case{"select 1 from t for update", "SELECT", Effect::write},
        Case{"select set_config('role','x',false)", "SELECT", Effect::admin},
        Case{"select pg_terminate_backend(1)", "SELECT", Effect::admin},
        Case{"select pg_catalog.pg_read_file('/etc/passwd')", "SELECT", Effect::admin},
        Case{"select lo_export(1,'/tmp/x')", "SELECT", Effect::admin},
        Case{"select query_to_xml('delete from t', true, true, '')", "SELECT", Effect::admin},
        Case{"select * from dblink('x','y') as t(a int)", "SELECT", Effect::admin},
        Case{"select nextval('s')", "SELECT", Effect::write},
        Case{"select setval('s', 1)", "SELECT", Effect::write},
        Case{"select 1 where exists (select pg_notify('a','b'))", "SELECT", Effect::write},
        Case{"create rule r as on select to t do instead select 1", "CREATE RULE", Effect::admin},
        Case{"create extension dblink", "CREATE EXTENSION", Effect::admin},
        Case{"import foreign schema s from server x into public", "OTHER", Effect::admin}));

TEST(Classify, EveryStatementOfABatch) {
  auto read = Classify("select 1; drop table public.orders; ;");
  ASSERT_EQ(read.statements.size(), 2u);
  EXPECT_EQ(read.statements[1].kind, "DROP");
  EXPECT_EQ(Relations(read.statements[1]), Names{"public.orders!"});
  EXPECT_EQ(read.worst, Effect::ddl);
  EXPECT_EQ(Classify("").worst, Effect::none);
  EXPECT_TRUE(Classify(" -- nothing\n/* at all */ ;").known.complete);
}

TEST(Classify, RelationsAsWritten) {
  EXPECT_EQ(Relations(One("select * from public.payments p join orders on true")),
            (Names{"orders", "public.payments"}));
  EXPECT_EQ(Relations(One("insert into a.b select * from c")), (Names{"a.b!", "c"}));
  EXPECT_EQ(Relations(One("update t set x = (select max(y) from u) from v where t.id = v.id")),
            (Names{"t!", "u", "v"}));
  EXPECT_EQ(Relations(One("delete from only t using u where t.a = u.a")), (Names{"t!", "u"}));
  EXPECT_EQ(Relations(One("select * from a where exists (select 1 from b) union select * from c")),
            (Names{"a", "b", "c"}));
  EXPECT_EQ(Relations(One("select (select x from a limit 1), array(select y from b)")),
            (Names{"a", "b"}));
  EXPECT_EQ(Relations(One("truncate a, b.c")), (Names{"a!", "b.c!"}));
  EXPECT_EQ(Relations(One("create view v as select * from s.t")), (Names{"s.t!", "v!"}));
  EXPECT_EQ(Relations(One("copy (select * from t) to stdout")), Names{"t"});
  EXPECT_EQ(Relations(One("explain select * from t")), Names{"t"});
  EXPECT_EQ(Relations(One("select * from db.s.t")), Names{"s.t"});
  EXPECT_EQ(Relations(One("select * from \"a.b\"")), Names{"\"a.b\""});
  EXPECT_EQ(Relations(One("select * from t tablesample system (1)")), Names{"t"});
  EXPECT_EQ(Relations(One("select * from p for update of p")), Names{"p"});
  EXPECT_EQ(Relations(One("select 1")), Names{});
}

TEST(Classify, CommonTableExpressionsAreNotRelations) {
  EXPECT_EQ(Relations(One("with c as (select * from t) select * from c")), Names{"t"});
  EXPECT_EQ(Relations(One("with t as (select * from t) select * from t")), Names{"t"});
  EXPECT_EQ(Relations(One("with t as (select 1) select * from public.t")), Names{"public.t"});
  EXPECT_EQ(
      Relations(One("with recursive t as (select 1 union all select * from t) select * from t")),
      Names{});
  EXPECT_EQ(Relations(One("with t as (select 1) delete from t where true")), Names{"t!"});
  EXPECT_EQ(Relations(One("with a as (select 1) select * from (select * from a) x, b")),
            Names{"b"});
}

TEST(Classify, NestedChangesAreNamed) {
  EXPECT_EQ(One("with d as (delete from t where id = 1 returning 1), i as (insert into u values "
                "(1)) select 1")
                .nested,
            (Names{"DELETE", "INSERT"}));
  EXPECT_EQ(One("explain analyze delete from t").nested, Names{"DELETE"});
  EXPECT_EQ(One("explain delete from t").nested, Names{});
  EXPECT_EQ(One("insert into t values (1) on conflict (a) do update set a = 2").nested,
            Names{"UPDATE"});
  EXPECT_EQ(One("select * into n from t").nested, Names{"CREATE"});
}

TEST(Classify, MissingWhere) {
  for (const char* text :
       {"delete from t", "update t set a = 1", "delete from t where true",
        "delete from t where 1 = 1", "delete from t where 'a' = 'a' or id = 5",
        "delete from t where id = id", "update t set a = 1 where not false",
        "delete from t where random() < 2", "with d as (delete from t returning 1) select 1",
        "explain analyze delete from t", "delete from t using u",
        "delete from t where true and (1=1 or id=3)", "prepare p as delete from t",
        "merge into t using u on true when matched then delete"}) {
    EXPECT_TRUE(One(text).missing_where) << text;
  }
  for (const char* text : {"delete from t where id = 1", "update t set a = 1 where id in (1, 2)",
                           "delete from t where true and id = 1", "delete from t where id = $1",
                           "delete from t where exists (select 1 from u where u.id = t.id)",
                           "select 1", "delete from t where current of c"}) {
    EXPECT_FALSE(One(text).missing_where) << text;
  }
}

TEST(Classify, Unbounded) {
  for (const char* text :
       {"select * from t", "table t", "select a from t limit all", "select * from t limit null",
        "select * from t where true", "select * from (select * from t) x",
        "with c as (select * from t) select * from c",
        "select * from a where id = 1 union all select * from b", "copy t to stdout",
        "copy (select * from t) to stdout", "declare c cursor for select * from t",
        "select array(select a from t)", "explain analyze select * from t",
        "select string_agg(a, '') from t", "(select * from t) order by 1"}) {
    EXPECT_TRUE(One(text).unbounded) << text;
  }
  for (const char* text :
       {"select 1", "select * from t limit 5", "select * from t where id = 1",
        "select * from t fetch first 3 rows only", "select * from (select * from t) x where id = 1",
        "(select * from a union select * from b) limit 3",
        "with c as (select * from t limit 1) select * from c",
        "select * from generate_series(1, 10)", "select * from t where id in (select id from u)",
        "select (select a from t where id in (select id from u))", "explain select * from t",
        "show x"}) {
    EXPECT_FALSE(One(text).unbounded) << text;
  }
}

TEST(Classify, ColumnsAndStar) {
  EXPECT_EQ(One("select id, amount from public.payments").columns,
            (Names{"public.payments.id", "public.payments.amount"}));
  EXPECT_EQ(One("select p.cvv from public.payments p").columns, Names{"public.payments.cvv"});
  EXPECT_EQ(One("select public.payments.cvv from public.payments").columns,
            Names{"public.payments.cvv"});
  EXPECT_EQ(One("select a from t, u").columns, Names{"a"});
  EXPECT_EQ(One("select 1 from t order by secret").columns, Names{"t.secret"});
  EXPECT_EQ(One("select a as x from t order by x").columns, Names{"t.a"});
  EXPECT_EQ(One("select 1 from t join u using (cvv)").columns, Names{"cvv"});
  EXPECT_EQ(One("update t set cvv = '1' where id = 2").columns, (Names{"t.cvv", "t.id"}));
  EXPECT_EQ(One("insert into t(a, b) values (1, 2)").columns, (Names{"t.a", "t.b"}));
  EXPECT_EQ(One("copy t(cvv) to stdout").columns, Names{"t.cvv"});
  EXPECT_EQ(One("select (p).cvv from payments p").columns, (Names{"cvv", "payments.p"}));
  for (const char* text :
       {"select * from t", "select t.* from t", "table t", "select t from t", "select p from t p",
        "select row_to_json(p) from t p", "select p::text from t p", "copy t to stdout",
        "insert into t values (1)", "delete from t where id=1 returning *",
        "select 1 from t natural join u", "select a from t as x(a, b)",
        "select count(p.*) from t p", "select to_jsonb(j) from (t join u on true) as j",
        "with c as (select * from t) select 1"}) {
    EXPECT_TRUE(One(text).star) << text;
  }
  for (const char* text :
       {"select count(*) from t", "select a from t", "select * from (select a from t) x",
        "with c as (select a from t) select * from c", "select x.* from (select a from t) x",
        "select * from generate_series(1,2)"}) {
    EXPECT_FALSE(One(text).star) << text;
  }
}

TEST(Classify, Functions) {
  auto s =
      One("select lower(a), pg_catalog.upper(b), purge_orders(1), billing.close(2), extract(year "
          "from now()) from t");
  EXPECT_EQ(s.functions,
            (Names{"lower", "upper", "purge_orders", "billing.close", "extract", "now"}));
  EXPECT_EQ(s.risky, (Names{"purge_orders", "billing.close"}));
  EXPECT_EQ(One("select count(*), sum(a), coalesce(b, 1), a like 'x', substring(b from 1 for 2), a "
                "similar to 'b', "
                "position('a' in b), trim(b), overlay(b placing 'x' from 1), a at time zone 'UTC', "
                "row_number() over () from t")
                .risky,
            Names{});
  EXPECT_EQ(One("select 1 operator(evil.+) 2").risky, Names{"operator evil.+"});
  EXPECT_EQ(One("select 1 operator(pg_catalog.+) 2").risky, Names{});
  EXPECT_EQ(One("select evil.lower('x')").risky, Names{"evil.lower"});
}

TEST(Classify, UnreadableIsTheWorst) {
  std::string nul("select 1\0; drop table t", 23);
  for (std::string text : {std::string("selec 1"), std::string("select 'unclosed"), nul,
                           std::string("select '\xff\xfe'"), std::string("\xc0\xaf"),
                           std::string(10 << 20, ' '), std::string("select $$x")}) {
    auto read = Classify(text);
    EXPECT_FALSE(read.known.complete);
    EXPECT_EQ(read.known.reason, "sql-unparsable");
    EXPECT_EQ(read.worst, Effect::admin);
    EXPECT_TRUE(read.statements.empty());
  }
}

std::string Repeat(std::string_view text, size_t n) {
  std::string out;
  for (size_t i = 0; i < n; ++i) out += text;
  return out;
}

TEST(Classify, DepthDoesNotCrash) {
  for (const auto& text :
       {"select " + Repeat("(", 5000) + "1" + Repeat(")", 5000), "select 1" + Repeat("+1", 100'000),
        "select 1" + Repeat("+1", 250'000), "select 1" + Repeat("::int", 40'000),
        "select " + Repeat("-", 1) + Repeat("(-", 4000) + "1",
        "select " + Repeat("(select ", 3000) + "1" + Repeat(")", 3000),
        "select 1" + Repeat(" union select 1", 10'000), "select " + Repeat("not ", 40'000) + "true",
        "select " + Repeat("case when true then ", 9000) + "1" + Repeat(" end", 9000),
        "select " + Repeat("f(", 4000) + Repeat(")", 4000),
        "select a" + Repeat("[1", 1) + Repeat("]", 1) + Repeat("[1]", 40'000),
        "select * from a" + Repeat(" join b on true", 10'000), "select '" + Repeat("(", 100'000),
        Repeat("select 1;", 20'000)}) {
    auto read = Classify(text, {.max_bytes = 2 << 20});
    EXPECT_TRUE(read.known.complete || read.worst == Effect::admin);
  }
  EXPECT_FALSE(Classify("select 1" + Repeat("+1", 100'000)).known.complete);
  EXPECT_FALSE(Classify("select 1" + Repeat("+1", 500)).known.complete);
}

TEST(Classify, LongButFlatTextsAreRead) {
  std::string in = "select * from t where id in (1" + Repeat(",12345", 20'000) + ")";
  EXPECT_TRUE(Classify(in).known.complete);
  std::string conditions = "select * from t where a = 0" + Repeat(" and b = 1", 5000);
  EXPECT_TRUE(Classify(conditions).known.complete);
  EXPECT_TRUE(Classify("select 1" + Repeat("+1", 150)).known.complete);
  EXPECT_EQ(Classify(Repeat("select 1;", 1000)).statements.size(), 1000u);
  EXPECT_FALSE(Classify(Repeat("select 1;", 1001)).known.complete);
}

TEST(Classify, TooManyNamesAreNotJudgedInPart) {
  auto list = [](std::string_view begin, std::string_view name, int n, std::string_view end) {
    std::string out(begin);
    for (int i = 0; i < n; ++i)
      out.append(name).append(std::to_string(i)).append(i + 1 < n ? "," : end);
    return out;
  };
  EXPECT_TRUE(Classify(list("select ", "c", 4000, " from t")).known.complete);
  EXPECT_FALSE(Classify(list("select ", "c", 6000, " from t")).known.complete);
  EXPECT_TRUE(Classify(list("select 1 from ", "t", 200, "")).known.complete);
  EXPECT_FALSE(Classify(list("select 1 from ", "t", 300, "")).known.complete);
  EXPECT_FALSE(Classify(list("explain select 1 from ", "t", 300, "")).known.complete);
  std::string calls = "select 1";
  for (int i = 0; i < 1100; ++i) calls += ",f" + std::to_string(i) + "()";
  EXPECT_FALSE(Classify(calls).known.complete);
}

TEST(Classify, DialectOfStrings) {
  EXPECT_EQ(Classify(R"(select 'a\'; drop table t; --')").statements.size(), 2u);
  EXPECT_EQ(Classify(R"(select E'a\'; drop table t; --')").statements.size(), 1u);
  EXPECT_EQ(Classify("select /* /* */ ; drop table t; */ 1").statements.size(), 1u);
  EXPECT_EQ(Classify("select $a$ ; drop table t; $a$").statements.size(), 1u);
}

}  // namespace
}  // namespace sallyport::sql
