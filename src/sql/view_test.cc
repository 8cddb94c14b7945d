#include <gtest/gtest.h>

#include "sql/catalog.h"
#include "sql/lab_for_tests.h"

namespace sallyport::sql {
namespace {

std::vector<CatalogColumn> Columns(size_t n) {
  std::vector<CatalogColumn> columns(n);
  for (size_t i = 0; i < n; ++i) columns[i].name = "c" + std::to_string(i);
  return columns;
}

/// What each column of a view shows: '-' nothing classified, 'c' a copy, 'd' derived; "?": unknown.
std::string Classes(std::string_view definition, size_t n) {
  auto columns = Columns(n);
  if (!ClassifyView(definition, *LabCatalog(), {"pg_catalog", "public"}, columns)) return "?";
  std::string out;
  for (const auto& column : columns) {
    if (!column.classified()) {
      out += '-';
    } else if (column.derived) {
      EXPECT_EQ(column.mask, SourceMask::null);
      out += 'd';
    } else {
      EXPECT_FALSE(column.detector.empty());
      out += 'c';
    }
  }
  return out;
}

TEST(ClassifyView, CopiesAndWhatIsComputed) {
  EXPECT_EQ(Classes("SELECT id AS k, card_number AS ref, amount FROM payments;", 3), "-c-");
  EXPECT_EQ(Classes("SELECT id, 'ref:' || reverse(card_number) AS r FROM payments", 2), "-d");
  EXPECT_EQ(Classes("SELECT k, ref FROM v_rename", 2), "-c");
  EXPECT_EQ(Classes("SELECT id, r FROM v_expr", 2), "-d");
  EXPECT_EQ(Classes("SELECT * FROM refunds", 3), "-c-");
  EXPECT_EQ(Classes("SELECT s.x, s.y FROM (SELECT id AS x, card_number AS y FROM payments) s", 2),
            "-c");
  EXPECT_EQ(Classes("WITH t(a, b) AS (SELECT id, card_number FROM payments) SELECT b, a FROM t", 2),
            "c-");
  EXPECT_EQ(Classes("SELECT card_number FROM refunds UNION SELECT name FROM customers", 1), "c");
  EXPECT_EQ(Classes("SELECT name FROM customers UNION SELECT upper(card_number) FROM refunds", 1),
            "d");
  EXPECT_EQ(Classes("SELECT max(card_number), count(*) FROM payments", 2), "d-");
  EXPECT_EQ(Classes("SELECT (SELECT p.card_number FROM payments p WHERE p.id = c.id) FROM "
                    "customers c",
                    1),
            "c");
  EXPECT_EQ(Classes("SELECT EXISTS (SELECT 1 FROM payments WHERE card_number = '1')", 1), "d");
  EXPECT_EQ(Classes("SELECT to_jsonb(p.*) FROM payments p", 1), "d");
  EXPECT_EQ(Classes("SELECT p FROM payments p", 1), "d");
  EXPECT_EQ(Classes("SELECT (card_number)::text, card_number::varchar FROM payments", 2), "cc");
  EXPECT_EQ(Classes("SELECT card_number::varchar(8), card_number::bytea FROM payments", 2), "dd");
  EXPECT_EQ(Classes("SELECT e.v FROM payments p, unnest(ARRAY[p.card_number]) e(v)", 1), "d");
  EXPECT_EQ(Classes("SELECT name, score FROM customers WHERE id IN (SELECT id FROM payments)", 2),
            "--");
  EXPECT_EQ(Classes("SELECT fee(1) AS fee", 1), "-");
  EXPECT_EQ(Classes("SELECT cvv, card_number FROM payments UNION SELECT card_number, cvv FROM "
                    "payments",
                    2),
            "dd");
}

TEST(ClassifyView, WhatCannotBeFollowed) {
  EXPECT_EQ(Classes("SELECT get_card(1)", 1), "?");
  EXPECT_EQ(Classes("SELECT a FROM nosuch", 1), "?");
  EXPECT_EQ(Classes("SELECT nosuch FROM payments", 1), "?");
  EXPECT_EQ(Classes("SELECT id FROM payments", 2), "?");
  EXPECT_EQ(Classes("DELETE FROM payments", 1), "?");
  EXPECT_EQ(Classes("SELECT", 1), "?");
  EXPECT_EQ(Classes("garbage", 1), "?");
  EXPECT_EQ(Classes("SELECT 1; SELECT 2", 1), "?");
}

TEST(Catalog, ChildrenAndParentsShareWhatIsClassified) {
  auto catalog = LabCatalog();
  const auto* child = catalog->Find("public", "payments_2024");
  ASSERT_TRUE(child);
  EXPECT_TRUE(child->classified);
  EXPECT_EQ(child->Find("card_number")->mask, SourceMask::last4);
  EXPECT_EQ(child->Find("cvv")->detector, "sad");
  EXPECT_FALSE(child->Find("extra1")->classified());
}

TEST(Catalog, NamesAlongThePath) {
  Catalog::Content content;
  for (const char* schema : {"public", "pg_catalog", "a"}) {
    content.relations.push_back({.schema = schema, .name = "t"});
  }
  content.relations.push_back({.schema = "a", .name = "only_a"});
  content.functions = {{.schema = "public", .name = "f", .touches_classified = false},
                       {.schema = "a", .name = "f", .touches_classified = true}};
  Catalog catalog(content);
  EXPECT_EQ(catalog.Resolve("t", {"a", "public"})->schema, "pg_catalog");
  EXPECT_EQ(catalog.Resolve("t", {"a", "pg_catalog"})->schema, "a");
  EXPECT_EQ(catalog.Resolve("only_a", {"public"}), nullptr);
  EXPECT_EQ(catalog.Resolve("only_a", {"public", "a"})->name, "only_a");
  // Arguments may choose either.
  EXPECT_TRUE(catalog.ResolveFunction("f", {"public", "a"})->touches_classified);
  EXPECT_FALSE(catalog.ResolveFunction("f", {"public"})->touches_classified);
  EXPECT_NE(catalog.id(), Catalog(content).id());
}

}  // namespace
}  // namespace sallyport::sql
