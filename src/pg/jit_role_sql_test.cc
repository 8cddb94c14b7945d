#include "pg/jit_role_sql.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <pg_query.h>

namespace sallyport::pg {
namespace {

using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

TEST(QuoteTest, Identifiers) {
  EXPECT_EQ(QuoteIdentifier("a"), "\"a\"");
  EXPECT_EQ(QuoteIdentifier("a\"; DROP ROLE x; --"), "\"a\"\"; DROP ROLE x; --\"");
  EXPECT_EQ(QuoteIdentifier(std::string("a\0b", 3)), "\"ab\"");
  EXPECT_EQ(QuoteIdentifier("é\\"), "\"é\\\"");
}

TEST(QuoteTest, Literals) {
  EXPECT_EQ(QuoteLiteral("it's"), "'it''s'");
  EXPECT_EQ(QuoteLiteral("\\'; DROP"), " E'\\\\''; DROP'");
  EXPECT_EQ(QuoteLiteral(std::string("a\0b", 3)), "'ab'");
  EXPECT_EQ(QuoteLiteral("é€😀"), "'é€😀'");
  // A lead byte must not swallow the quote behind it, as it would in SJIS or in sloppy UTF-8.
  EXPECT_EQ(QuoteLiteral("\xe3'"), "'?'''");
  EXPECT_EQ(QuoteLiteral("\xc0\xa7"),
            "'?"
            "?'");
  EXPECT_EQ(QuoteLiteral("\xed\xa0\x80"),
            "'?"
            "?"
            "?'");
}

/// How many statements PostgreSQL's own grammar sees.
size_t Statements(const std::string& sql) {
  PgQuerySplitResult split = pg_query_split_with_parser(sql.c_str());
  const size_t n = split.error != nullptr ? 0 : size_t(split.n_stmts);
  pg_query_free_split_result(split);
  return n;
}

TEST(CreateRoleSqlTest, NamesFromOutsideStayInTheirLiteral) {
  NewRole role{
      .name = "sallyport_g_1", .group = "sallyport_g_2", .verifier = "SCRAM", .comment = {}};
  role.server_version = 150000;
  for (const std::string name :
       {"Ann", "'; DROP TABLE payments; --", "\\'; DROP TABLE payments; --", "$$; DROP",
        "\xe3'; DROP TABLE payments; --", "a\nb", "*/ ; DROP", "\\"}) {
    op::Session session;
    session.id = "s_1";
    session.who.name = session.who.subject = session.who.issuer = name;
    role.comment = RoleComment(session);
    const std::string sql = CreateRoleSql(role, "1, 2");
    EXPECT_EQ(Statements(sql), 5u) << sql;
    EXPECT_THAT(sql, Not(HasSubstr("\na\nb")));
  }
}

TEST(CreateRoleSqlTest, ByServerVersionAndAdministrator) {
  NewRole role{.name = "r", .group = "g", .verifier = "v", .comment = {}};
  role.server_version = 130000;
  EXPECT_EQ(CreateRoleSql(role, "1, 2"),
            "SELECT pg_catalog.pg_advisory_xact_lock_shared(1, 2);\n"
            "CREATE ROLE \"r\" LOGIN CONNECTION LIMIT 2 PASSWORD 'v' VALID UNTIL "
            "'1970-01-01T00:00:00.000000000Z' IN ROLE \"g\";\n"
            "ALTER ROLE \"r\" SET standard_conforming_strings = 'on';\n");
  role.server_version = 160002, role.admin_is_superuser = false;
  const std::string sql = CreateRoleSql(role, "1, 2");
  EXPECT_THAT(sql, HasSubstr("Z' ROLE CURRENT_USER;\n"));
  EXPECT_THAT(sql, HasSubstr("GRANT \"g\" TO \"r\" WITH INHERIT TRUE, SET FALSE;"));
  EXPECT_THAT(sql, HasSubstr("client_connection_check_interval"));
  role.group.clear();
  EXPECT_THAT(CreateRoleSql(role, "1, 2"), StartsWith("CREATE ROLE"));
}

TEST(RoleNamesTest, FitAndDoNotOverlap) {
  const std::vector<Grant> grants{{"public.a", {"SELECT"}, {}}};
  const RoleNames names("gate.example.com/CDE_1-with-a-very-long-name-behind-it", "orders");
  EXPECT_LE(names.NewSession().size(), 63u);
  EXPECT_LE(names.GroupOf(grants).size(), 63u);
  EXPECT_THAT(names.NewSession(), StartsWith("sallyport_gate-example-com-cde-1-"));
  EXPECT_NE(names.NewSession(), names.NewSession());
  EXPECT_TRUE(names.GroupOf({}).empty());

  const RoleNames a("a", "orders"), ab("a_b", "orders"), dot("a.b", "orders"), other("a", "stock");
  EXPECT_THAT(a.NewSession(), StartsWith("sallyport_a_"));
  EXPECT_NE(ab.Pattern(), dot.Pattern());
  EXPECT_NE(a.Pattern(), other.Pattern());
  EXPECT_THAT(ab.NewSession(), Not(StartsWith("sallyport_a_")));
  // An underscore of the prefix is one, and no wildcard.
  EXPECT_THAT(a.Pattern(), StartsWith(" E'sallyport\\\\_a\\\\_"));
}

TEST(RoleNamesTest, AGroupForEachSetOfGrants) {
  const RoleNames names("a", "d");
  const std::vector<std::vector<Grant>> sets{
      {{"public.a", {"SELECT"}, {}}},
      {{"public.a", {"INSERT"}, {}}},
      {{"public.a", {"SELECT"}, {"x"}}},
      {{"public.a", {"SELECT"}, {"x", "y"}}},
      {{"public.a", {"SELECT"}, {"xy"}}},
      {{"public.b", {"SELECT"}, {}}},
      {{"public.a", {"SELECT"}, {}}, {"public.b", {"SELECT"}, {}}}};
  for (size_t i = 0; i < sets.size(); ++i) {
    EXPECT_EQ(names.GroupOf(sets[i]), names.GroupOf(sets[i]));
    for (size_t k = 0; k < i; ++k) EXPECT_NE(names.GroupOf(sets[i]), names.GroupOf(sets[k]));
  }
}

TEST(GrantSqlTest, StatementsByWhatTheyGrant) {
  const std::vector<Grant> grants{{"public.*", {"SELECT", "INSERT"}, {}},
                                  {"s.x", {"SELECT"}, {"a", "b\"c"}}};
  const std::vector<GrantTarget> targets{{0, "public", "t1", "1", {"\"public\".\"t1_id_seq\""}},
                                         {0, "public", "t\"2", "2", {}},
                                         {1, "s", "x", "3", {"never"}}};
  EXPECT_EQ(GrantSql("g", grants, targets).value(),
            "GRANT USAGE ON SCHEMA \"public\", \"s\" TO \"g\";\n"
            "GRANT INSERT ON TABLE \"public\".\"t\"\"2\", \"public\".\"t1\" TO \"g\";\n"
            "GRANT SELECT ON TABLE \"public\".\"t\"\"2\", \"public\".\"t1\" TO \"g\";\n"
            "GRANT SELECT (\"a\", \"b\"\"c\") ON TABLE \"s\".\"x\" TO \"g\";\n"
            "GRANT USAGE ON SEQUENCE \"public\".\"t1_id_seq\" TO \"g\";\n");
  EXPECT_EQ(GrantSql("g", grants, {}).value(), "");
  for (const std::string privilege : {"ALL", "TRUNCATE", "select", "SELECT ON x TO y; --"}) {
    EXPECT_FALSE(GrantSql("g", {{"a.b", {privilege}, {}}}, {{0, "a", "b", "1", {}}})) << privilege;
  }
  EXPECT_FALSE(GrantSql("g", {{"a.b", {"DELETE"}, {"c"}}}, {{0, "a", "b", "1", {}}}));
}

TEST(TargetsSqlTest, OneStatementWhateverTheNames) {
  EXPECT_EQ(Statements(TargetsSql({{"a'; DROP TABLE x; --.b\\", {"SELECT"}, {}},
                                   {"public.*", {"SELECT"}, {}}})
                           .value()),
            1u);
  EXPECT_THAT(TargetsSql({{"pub_l%c.x?*", {}, {}}}).value(),
              HasSubstr("E'pub\\\\_l\\\\%c', 'x_%'"));
  for (const std::string name : {"", "a", ".a", "a."}) {
    EXPECT_FALSE(TargetsSql({{name, {"SELECT"}, {}}})) << name;
  }
}

}  // namespace
}  // namespace sallyport::pg
