#include "pg/grants.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace sallyport::pg {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

sql::Catalog Shop() {
  sql::CatalogRelation payments{.oid = 1, .schema = "public", .name = "payments"};
  payments.columns = {{.name = "id", .number = 1},
                      {.name = "card_number", .number = 2, .mask = sql::SourceMask::last4},
                      {.name = "cvv", .number = 3, .mask = sql::SourceMask::null}};
  sql::CatalogRelation orders{.oid = 2, .schema = "public", .name = "orders"};
  orders.columns = {{.name = "id", .number = 1}};
  sql::CatalogRelation system{.oid = 3, .schema = "pg_catalog", .name = "pg_class"};
  sql::Catalog::Content content;
  content.relations = {payments, orders, system};
  return sql::Catalog(std::move(content));
}

std::string Text(const std::vector<Grant>& grants) {
  std::string text;
  for (const Grant& grant : grants) {
    for (const auto& p : grant.privileges) text += p + " ";
    if (!grant.columns.empty()) {
      text += "(";
      for (const auto& c : grant.columns) text += c + ",";
      text += ") ";
    }
    text += "on " + grant.relation + "; ";
  }
  return text;
}

TEST(Grants, SensitiveAuthenticationDataIsNeverReadable) {
  auto grants = GrantsFor({{.statements = {"SELECT"}, .relations = {"public.payments"}}}, Shop());
  EXPECT_EQ(Text(grants), "SELECT (card_number,id,) on public.payments; ");
}

TEST(Grants, AColumnThatNoRuleShowsIsNotGranted) {
  auto grants = GrantsFor({{.statements = {"select"},
                            .relations = {"payments"},
                            .columns_deny = {"public.payments.card_number"}}},
                          Shop());
  EXPECT_EQ(Text(grants), "SELECT (id,) on public.payments; ");
}

TEST(Grants, RulesAddUp) {
  auto grants = GrantsFor({{.statements = {"SELECT"}, .relations = {"public.orders"}},
                           {.statements = {"UPDATE"}, .relations = {"public.ord*"}}},
                          Shop());
  EXPECT_EQ(Text(grants), "SELECT UPDATE on public.orders; ");
}

TEST(Grants, AReadingRuleWithoutRelationsReachesAllButTheSystem) {
  EXPECT_EQ(Text(GrantsFor({{}}, Shop())),
            "SELECT on public.orders; SELECT (card_number,id,) on public.payments; ");
}

TEST(Grants, StatementsThatNeedMoreThanAPrivilegeGetNothing) {
  EXPECT_THAT(GrantsFor({{.statements = {"DROP", "TRUNCATE", "DO"}}}, Shop()), IsEmpty());
  EXPECT_THAT(GrantsFor({}, Shop()), IsEmpty());
}

}  // namespace
}  // namespace sallyport::pg
