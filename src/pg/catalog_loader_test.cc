#include "pg/catalog_loader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "net/event.h"
#include "net/shards.h"
#include "pg/catalog_classify.h"
#include "pg/catalog_refresh.h"
#include "pg/postgres_for_test.h"
#include "pg/server_query.h"

namespace sallyport::pg {
namespace {

using sql::SourceMask;
using testing::HasSubstr;
using testing::StartsWith;
using testing::UnorderedElementsAre;
using CatalogPtr = std::shared_ptr<const sql::Catalog>;

const std::vector<ClassifiedColumn> kClassified{
    {"shop.payments.card_number", "pan", SourceMask::last4},
    {"shop.parted*.card_number", "pan", SourceMask::last4},
    {"shop.dropped.card_number", "pan", SourceMask::first6_last4},
    {"*.*.pin*", "pin", SourceMask::full},
    {"shop.payments.cvv", "sad", SourceMask::null},
    {"shop.asked.none", "pan", SourceMask::full}};

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class CatalogLoaderTest : public testing::Test {
 public:
  CatalogLoaderTest() : shards_(1) { shards_.Start(); }
  void SetUp() override {
    if (PostgresForTest::Get() == nullptr) GTEST_SKIP() << PostgresForTest::WhyNot();
    pg_ = PostgresForTest::Get();
    static const bool made = [&] {
      pg_->Sql("CREATE DATABASE catalog_test");
      pg_->Sql(ReadFile(SALLYPORT_TESTDATA "/pg/catalog.sql"), "catalog_test");
      return true;
    }();
    (void)made;
  }

  Result<CatalogPtr> Load(const std::vector<ClassifiedColumn>& classified = kClassified,
                          const std::string& database = "catalog_test",
                          const std::string& user = "postgres") {
    const auto address = pg_->Plain(database);
    auto server = RunOn(
        shards_, LogIn(*address, {.user = user, .password = Secret("wrong horse"), .startup = {}}));
    if (!server) return std::unexpected(server.error());
    auto loaded = RunOn(shards_, LoadCatalog(*server, classified, 7));
    // The server is as it was: outside of a transaction, with its own search_path.
    const auto after = RunOn(shards_, Query(*server, "SHOW search_path", std::chrono::seconds(5)));
    EXPECT_EQ(after.value()[0][0], "\"$user\", public");
    return loaded;
  }
  /// "card_number:last4 cvv:null!" — the classified columns of a relation; "!" where derived.
  static std::string Marks(const sql::Catalog& catalog, const std::string& schema,
                           const std::string& name) {
    const auto* relation = catalog.Find(schema, name);
    if (relation == nullptr) return "no such relation";
    std::string out;
    const char* const names[] = {"none", "last4", "first6_last4", "full", "null"};
    for (const auto& column : relation->columns) {
      if (!column.classified()) continue;
      out += (out.empty() ? "" : " ") + column.name + ":" + names[size_t(column.mask)] +
             (column.derived ? "!" : "");
      EXPECT_FALSE(column.detector.empty()) << schema << "." << name << "." << column.name;
    }
    EXPECT_TRUE(out.empty() || relation->classified);
    return out;
  }
  static bool Touches(const sql::Catalog& catalog, const std::string& function) {
    const auto* found = catalog.FindFunction("shop", function);
    return found == nullptr || found->touches_classified;
  }

 protected:
  net::Shards shards_;
  const PostgresForTest* pg_ = nullptr;
};

TEST_F(CatalogLoaderTest, FunctionsBehindOperatorsAndCasts) {
  pg_->Sql("CREATE DATABASE hidden");
  pg_->Sql(
      "CREATE TABLE cards(n text); CREATE TYPE peeked AS (n int); CREATE TYPE plain AS (n int);"
      "CREATE FUNCTION peek(int, int) RETURNS text LANGUAGE plpgsql AS 'BEGIN RETURN 1; END';"
      "CREATE FUNCTION peek(peeked) RETURNS text LANGUAGE sql AS 'SELECT n FROM public.cards';"
      "CREATE FUNCTION plain(plain) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$;"
      "CREATE FUNCTION plain(int, int) RETURNS int LANGUAGE sql AS 'SELECT 1';"
      "CREATE OPERATOR || (LEFTARG = int, RIGHTARG = int, FUNCTION = peek);"
      "CREATE OPERATOR ### (LEFTARG = int, RIGHTARG = int, FUNCTION = plain);"
      "CREATE CAST (peeked AS text) WITH FUNCTION peek(peeked) AS ASSIGNMENT;"
      "CREATE CAST (plain AS text) WITH FUNCTION plain(plain)",
      "hidden");
  const auto catalog = Load({{"public.cards.n", "pan", SourceMask::last4}}, "hidden").value();
  const auto& hidden = catalog->content().hidden;
  EXPECT_THAT(hidden.operators, UnorderedElementsAre("||"));
  EXPECT_THAT(hidden.types, UnorderedElementsAre("peeked", "text"));
  EXPECT_EQ(hidden.implicit.size(), 2u);
  EXPECT_THAT(hidden.own_operators, UnorderedElementsAre("||", "###"));
  EXPECT_THAT(hidden.own_types, UnorderedElementsAre("peeked", "plain", "text"));
  const auto nothing = Load({}, "hidden").value();
  EXPECT_TRUE(nothing->content().hidden.operators.empty());
  EXPECT_EQ(nothing->content().hidden.own_operators.size(), 2u);
}

TEST_F(CatalogLoaderTest, WhatIsThere) {
  const auto catalog = Load().value();
  EXPECT_EQ(catalog->epoch(), 7u);
  const auto* payments = catalog->Find("shop", "payments");
  ASSERT_NE(payments, nullptr);
  EXPECT_EQ(payments->kind, 'r');
  ASSERT_EQ(payments->columns.size(), 8u);
  EXPECT_EQ(payments->columns[3].type_name, "character(4)");
  EXPECT_EQ(payments->columns[4].type_name, "numeric(12,2)");
  EXPECT_EQ(catalog->FindOid(payments->oid), payments);
  EXPECT_EQ(catalog->Find("shop", "pins")->columns[3].type_name, "shop.short_text");
  EXPECT_EQ(catalog->Find("shop", "v_rename")->kind, 'v');
  EXPECT_EQ(catalog->Find("shop", "m_cards")->kind, 'm');
  EXPECT_EQ(catalog->Find("shop", "parted")->kind, 'p');
  EXPECT_EQ(catalog->Find("archive", "old")->kind, 'f');
  EXPECT_EQ(catalog->Find("shop", "notes_id_seq")->kind, 'S');
  EXPECT_NE(catalog->Find("odd.schema", "a \"b"), nullptr);
  const auto* dropped = catalog->Find("shop", "dropped");
  ASSERT_EQ(dropped->columns.size(), 2u);
  EXPECT_EQ(dropped->columns[1].number, 3);
  // PostgreSQL's own, with their columns.
  ASSERT_NE(catalog->Find("pg_catalog", "pg_class"), nullptr);
  EXPECT_NE(catalog->Find("pg_catalog", "pg_class")->Find("relname"), nullptr);
  EXPECT_NE(catalog->Find("information_schema", "tables"), nullptr);
  EXPECT_EQ(catalog->Find("pg_catalog", "pg_class_oid_index"), nullptr);
}

TEST_F(CatalogLoaderTest, ConfiguredColumnsAndTheirTypes) {
  const auto catalog = Load().value();
  EXPECT_TRUE(catalog->classifies_anything());
  EXPECT_EQ(Marks(*catalog, "shop", "payments"), "card_number:last4 cvv:null tail:null!");
  // Numbers and arrays have no masked form; a domain over text has.
  EXPECT_EQ(Marks(*catalog, "shop", "pins"), "pin:null pins:null");
  EXPECT_EQ(Marks(*catalog, "shop", "notes"), "");
  EXPECT_EQ(Marks(*catalog, "shop", "customers"), "");
  EXPECT_EQ(catalog->Find("shop", "payments")->Find("card_number")->detector, "pan");
  const auto spare = Load({{"shop.pins.spare", "x", SourceMask::full}}).value();
  EXPECT_EQ(Marks(*spare, "shop", "pins"), "spare:full");
  // Two patterns: the stronger one.
  const auto two =
      Load({{"shop.notes.body", "a", SourceMask::full}, {"*.*.body", "b", SourceMask::last4}})
          .value();
  EXPECT_EQ(Marks(*two, "shop", "notes"), "body:full");
  EXPECT_EQ(two->Find("shop", "notes")->Find("body")->detector, "a");
}

TEST_F(CatalogLoaderTest, AFoundColumnByItsNumbers) {
  const auto before = Load({}).value();
  const auto* notes = before->Find("shop", "notes");
  const auto catalog = Load({{.pattern = {},
                              .detector = "pan",
                              .mask = SourceMask::last4,
                              .relation = notes->oid,
                              .column = notes->Find("body")->number},
                             {.pattern = {}, .detector = "pan", .relation = 1, .column = 1}})
                           .value();
  EXPECT_EQ(Marks(*catalog, "shop", "notes"), "body:last4");
  EXPECT_EQ(Marks(*catalog, "shop", "v_notes"), "body:last4");
  EXPECT_EQ(Marks(*catalog, "shop", "payments"), "");
}

TEST_F(CatalogLoaderTest, WhereTheNamedColumnHasGoneEveryColumnMayBeIt) {
  const auto gone = Load({{"shop.customers.card", "pan", SourceMask::last4}}).value();
  const auto* customers = gone->Find("shop", "customers");
  ASSERT_TRUE(customers->classified);
  for (const auto& column : customers->columns) EXPECT_EQ(column.mask, SourceMask::null);
  // A pattern over tables says nothing of those that have no such column, and a column that was
  // found before is still the one.
  EXPECT_FALSE(Load({{"shop.*.card", "pan", SourceMask::last4}})
                   .value()
                   ->Find("shop", "customers")
                   ->classified);
  const auto known = Load({{"shop.customers.card", "pan", SourceMask::last4},
                           {.detector = "pan",
                            .mask = SourceMask::last4,
                            .relation = customers->oid,
                            .column = customers->columns.back().number}})
                         .value();
  EXPECT_FALSE(known->Find("shop", "customers")->columns.front().classified());
}

TEST_F(CatalogLoaderTest, HeirsBothWays) {
  const auto catalog = Load().value();
  EXPECT_EQ(Marks(*catalog, "shop", "payments_2024"), "card_number:last4 cvv:null tail:null!");
  EXPECT_EQ(Marks(*catalog, "shop", "dropped"), "card_number:first6_last4");
  for (const char* name : {"parted", "parted_eu", "parted_us", "parted_us_1"})
    EXPECT_EQ(Marks(*catalog, "shop", name), "card_number:last4") << name;
  EXPECT_NE(catalog->Find("shop", "parted_eu")->Find("card_number")->number,
            catalog->Find("shop", "parted_us")->Find("region")->number);
  // From the middle up and down.
  const auto middle = Load({{"shop.parted_us.card_number", "pan", SourceMask::full}}).value();
  for (const char* name : {"parted", "parted_eu", "parted_us", "parted_us_1"})
    EXPECT_EQ(Marks(*middle, "shop", name), "card_number:full") << name;
  // The parent has no such column, but a child that does.
  EXPECT_EQ(Marks(*catalog, "shop", "base"), "");
  EXPECT_TRUE(catalog->Find("shop", "base")->classified);
  EXPECT_FALSE(catalog->Find("shop", "notes")->classified);
}

TEST_F(CatalogLoaderTest, Views) {
  const auto catalog = Load().value();
  EXPECT_EQ(Marks(*catalog, "shop", "v_rename"), "ref:last4");
  EXPECT_EQ(Marks(*catalog, "shop", "v_again"), "third:last4");
  EXPECT_EQ(Marks(*catalog, "shop", "v_expression"), "r:null!");
  EXPECT_EQ(Marks(*catalog, "shop", "v_star"), "card_number:last4 cvv:null tail:null!");
  EXPECT_THAT(Marks(*catalog, "shop", "v_row"), StartsWith("whole:null"));
  EXPECT_THAT(Marks(*catalog, "shop", "v_union"), StartsWith("c:"));
  EXPECT_EQ(Marks(*catalog, "shop", "v_plain"), "");
  EXPECT_EQ(Marks(*catalog, "shop", "v_notes"), "");
  EXPECT_EQ(Marks(*catalog, "shop", "m_cards"), "c:last4");
  EXPECT_EQ(Marks(*catalog, "shop", "a_first_by_name"), "c:last4");
  EXPECT_EQ(Marks(*catalog, "shop", "v_stats"), "tablename:null! most_common_vals:null!");
  EXPECT_EQ(Marks(*catalog, "shop", "v_xml"), "x:null!");
}

TEST_F(CatalogLoaderTest, Functions) {
  const auto catalog = Load().value();
  for (const char* name :
       {"get_card", "get_new", "calls_get_card", "by_bare_name", "run_sql", "over", "upper_name"})
    EXPECT_TRUE(Touches(*catalog, name)) << name;
  for (const char* name : {"get_name", "add_one", "atomic_names"})
    EXPECT_FALSE(Touches(*catalog, name)) << name;
  const auto* get_card = catalog->FindFunction("shop", "get_card");
  EXPECT_TRUE(get_card->security_definer);
  EXPECT_EQ(get_card->language, "sql");
  EXPECT_EQ(get_card->volatility, 's');
  EXPECT_EQ(catalog->FindFunction("shop", "over")->language, "");
  EXPECT_EQ(catalog->FindFunction("shop", "over")->volatility, 'v');
  EXPECT_EQ(Marks(*catalog, "shop", "v_function"), "c:null!");
  EXPECT_EQ(Marks(*catalog, "shop", "v_function_plain"), "");
  EXPECT_EQ(Marks(*catalog, "shop", "generated_by_function"), "b:null!");
}

TEST_F(CatalogLoaderTest, RulesAndForeignTables) {
  const auto catalog = Load().value();
  EXPECT_EQ(Marks(*catalog, "shop", "asked"), "id:null! said:null!");
  EXPECT_EQ(Marks(*catalog, "shop", "logged"), "");
  EXPECT_EQ(Marks(*catalog, "archive", "payments"), "number:last4");
  EXPECT_EQ(Marks(*catalog, "archive", "old"), "card_number:last4");
  EXPECT_EQ(Marks(*catalog, "archive", "others"), "");
}

TEST_F(CatalogLoaderTest, WhereNothingIsClassifiedNothingTouchesIt) {
  const auto catalog = Load({{"shop.none.none", "pan", SourceMask::full}}).value();
  EXPECT_FALSE(catalog->classifies_anything());
  EXPECT_FALSE(Touches(*catalog, "run_sql"));
  for (const auto& relation : catalog->content().relations)
    EXPECT_FALSE(relation.classified) << relation.name;
}

TEST_F(CatalogLoaderTest, RelationsThatShowValuesOfOthers) {
  const auto catalog = Load().value();
  for (const char* name : {"pg_stats", "pg_statistic", "pg_stat_activity", "pg_authid", "pg_shadow",
                           "pg_largeobject", "pg_user_mappings", "pg_stats_ext_exprs"})
    EXPECT_TRUE(catalog->Find("pg_catalog", name)->readable_by_rules_only) << name;
  for (const char* name : {"pg_class", "pg_attribute", "pg_roles", "pg_tables"})
    EXPECT_FALSE(catalog->Find("pg_catalog", name)->readable_by_rules_only) << name;
  const auto toast =
      std::ranges::find(catalog->content().relations, 't', &sql::CatalogRelation::kind);
  ASSERT_NE(toast, catalog->content().relations.end());
  EXPECT_TRUE(toast->readable_by_rules_only);
}

TEST_F(CatalogLoaderTest, AnOrdinaryLoginSeesTheSame) {
  const auto mine = Load().value(), theirs = Load(kClassified, "catalog_test", "scram_ann").value();
  ASSERT_EQ(mine->content().relations.size(), theirs->content().relations.size());
  for (const auto& relation : mine->content().relations)
    EXPECT_EQ(Marks(*mine, relation.schema, relation.name),
              Marks(*theirs, relation.schema, relation.name));
}

boost::asio::awaitable<int> LoadInside(std::shared_ptr<const ServerAddress> address) {
  auto server = co_await LogIn(*address, {.user = "postgres", .password = {}, .startup = {}});
  const auto ask = [&](std::string sql) {
    return Query(*server, std::move(sql), std::chrono::seconds(5));
  };
  (void)co_await ask(
      "BEGIN; SET LOCAL search_path = shop; SAVEPOINT sallyport_catalog;"
      "CREATE VIEW shop.v_uncommitted AS SELECT card_number FROM shop.payments");
  const auto inside = (co_await LoadCatalog(*server, kClassified, 1)).value();
  EXPECT_EQ((co_await TransactionStatus(*server, std::chrono::seconds(5))).value(), 'T');
  EXPECT_TRUE(inside->Find("shop", "v_uncommitted")->classified);
  (void)co_await ask("CREATE TEMP TABLE mine(id int)");
  const auto own = (co_await LoadCatalog(*server, kClassified, 1)).value();
  EXPECT_NE(own->Find((co_await ask("SELECT nspname FROM pg_namespace WHERE oid ="
                                    " pg_my_temp_schema()"))
                          .value()[0][0]
                          .value(),
                      "mine"),
            nullptr);
  EXPECT_EQ((co_await ask("SHOW search_path")).value()[0][0], "shop");
  (void)co_await ask("SELECT 1/0");
  const auto failed = co_await LoadCatalog(*server, kClassified, 2);
  EXPECT_EQ(ReasonCode(failed.error().code), "upstream-protocol");
  (void)co_await ask("ROLLBACK");
  const auto after = (co_await LoadCatalog(*server, kClassified, 3)).value();
  EXPECT_EQ(after->Find("shop", "v_uncommitted"), nullptr);
  EXPECT_EQ((co_await TransactionStatus(*server, std::chrono::seconds(5))).value(), 'I');
  co_return 0;
}

TEST_F(CatalogLoaderTest, ATransactionSeesItsOwnAndGoesOn) {
  RunOn(shards_, LoadInside(pg_->Plain("catalog_test")));
}

boost::asio::awaitable<int> LoadTwice(std::shared_ptr<const ServerAddress> address,
                                      std::vector<CatalogPtr>& out) {
  CatalogMemory memory;
  auto server = co_await LogIn(*address, {.user = "postgres", .password = {}, .startup = {}});
  const auto load = [&](const std::vector<ClassifiedColumn>& classified) {
    return RefreshCatalog(*server, classified, out.size(), memory);
  };
  out.push_back((co_await load(kClassified)).value());
  out.push_back((co_await load(kClassified)).value());
  (void)co_await Query(*server, "CREATE VIEW shop.v_fresh AS SELECT 1 AS one",
                       std::chrono::seconds(5));
  out.push_back((co_await load(kClassified)).value());
  (void)co_await Query(*server, "CREATE OR REPLACE VIEW shop.v_fresh AS SELECT 2 AS one",
                       std::chrono::seconds(5));
  out.push_back((co_await load(kClassified)).value());
  (void)co_await Query(*server, "DROP VIEW shop.v_fresh", std::chrono::seconds(5));
  out.push_back((co_await load({})).value());
  co_return 0;
}

TEST_F(CatalogLoaderTest, ADatabaseThatDidNotChangeGivesTheSameSnapshot) {
  std::vector<CatalogPtr> loaded;
  RunOn(shards_, LoadTwice(pg_->Plain("catalog_test"), loaded));
  ASSERT_EQ(loaded.size(), 5u);
  EXPECT_EQ(loaded[0], loaded[1]);
  for (size_t i = 2; i < loaded.size(); ++i) EXPECT_NE(loaded[i - 1], loaded[i]) << i;
  EXPECT_EQ(loaded[4]->epoch(), 4u);
}

TEST_F(CatalogLoaderTest, PatternsThatAreNone) {
  for (const char* pattern : {"card_number", "a.b", "a.b.c.d", "a..", "shop.[x].y"})
    EXPECT_EQ(ReasonCode(Load({{pattern, "pan", SourceMask::full}}).error().code), "config-invalid")
        << pattern;
}

TEST_F(CatalogLoaderTest, ThreeHundredTables) {
  static const bool made = [&] {
    pg_->Sql("CREATE DATABASE wide");
    pg_->Sql(
        "DO $$BEGIN FOR i IN 1..300 LOOP EXECUTE format('CREATE TABLE t%s(id int PRIMARY KEY,"
        " a text, b text, c int, d timestamptz, e jsonb, f numeric(10,2), card_number text,"
        " g bool, h uuid)', i); END LOOP;"
        " FOR i IN 1..100 LOOP EXECUTE format('CREATE VIEW v%s AS SELECT x.id, y.card_number"
        " FROM t%s x JOIN t%s y USING (id)', i, i, i + 1); EXECUTE format('CREATE FUNCTION"
        " f%s(i int) RETURNS text LANGUAGE sql AS %L', i, 'SELECT a FROM public.t1');"
        " END LOOP; END$$",
        "wide");
    return true;
  }();
  (void)made;
  for (const auto& classified :
       {std::vector<ClassifiedColumn>{}, {{"public.*.card_number", "pan", SourceMask::last4}}}) {
    const auto began = std::chrono::steady_clock::now();
    const auto catalog = Load(classified, "wide");
    ASSERT_TRUE(catalog);
    std::printf("%zu classified patterns: %.1f ms\n", classified.size(),
                std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began)
                    .count());
    EXPECT_EQ(Marks(**catalog, "public", "v7"), classified.empty() ? "" : "card_number:last4");
  }
}

}  // namespace
}  // namespace sallyport::pg
