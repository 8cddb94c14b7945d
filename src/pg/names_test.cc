#include "pg/names.h"

#include <gtest/gtest.h>

namespace sallyport::pg {
namespace {

using What = sql::NameEffect::What;

sql::AnalysisPtr Analysis(std::string kind) {
  auto analysis = std::make_shared<sql::Analysis>();
  analysis->kind = std::move(kind);
  return analysis;
}

StatementPtr Prepared(std::string name, sql::AnalysisPtr analysis) {
  auto statement = std::make_shared<Statement>();
  statement->name = std::move(name);
  statement->analysis = std::move(analysis);
  return statement;
}

JudgedPtr Text(std::string text, std::vector<sql::NameEffect> effects) {
  auto analysis = std::make_shared<sql::Analysis>();
  analysis->names = std::move(effects);
  auto judged = std::make_shared<Judged>();
  judged->text = std::move(text);
  judged->analysis = std::move(analysis);
  return judged;
}

TEST(NamesTest, AFailedParseLeavesTheOldMeaning) {
  Names names;
  const auto old = Analysis("old"), fresh = Analysis("new");
  names.Prepared(Prepared("s", old));
  names.Prepare(Prepared("s", fresh));  // sent, not answered
  EXPECT_EQ(names.FindStatement("s")->analysis, fresh);
  names.EndGroup();  // its Sync came back with an error before it
  EXPECT_EQ(names.FindStatement("s")->analysis, old);
}

TEST(NamesTest, AClosedNameIsNotFoundInItsGroup) {
  Names names;
  names.Prepared(Prepared("s", Analysis("x")));
  names.CloseStatement("s");
  ASSERT_TRUE(names.SentStatement("s"));
  EXPECT_EQ(*names.SentStatement("s"), nullptr);
  names.EndGroup();
  EXPECT_NE(names.FindStatement("s"), nullptr);  // until the server has said so
  names.ClosedStatement("s");
  EXPECT_EQ(names.FindStatement("s"), nullptr);
}

TEST(NamesTest, SqlAndProtocolShareNames) {
  Names names;
  const auto inner = Analysis("SELECT");
  names.Apply(Text("prepare p as …", {{What::prepare, "p", inner}}));
  EXPECT_EQ(names.FindStatement("p")->analysis, inner);
  EXPECT_EQ(names.Lookup("p"), inner);
  names.Prepared(Prepared("q", inner));
  EXPECT_EQ(names.Lookup("q"), inner);
  names.Apply(Text("deallocate all", {{What::deallocate_all, "", nullptr}}));
  EXPECT_EQ(names.Lookup("p"), nullptr);
  EXPECT_EQ(names.Lookup("q"), nullptr);
}

TEST(NamesTest, WhatFailedHalfWayIsNotTrusted) {
  Names names;
  const auto first = Analysis("first");
  names.Prepared(Prepared("p", first));
  names.Doubt(Text("deallocate p; prepare p as …; select 1/0",
                   {{What::deallocate, "p", nullptr}, {What::prepare, "p", Analysis("second")}}));
  EXPECT_EQ(names.Lookup("p"), nullptr);
  ASSERT_NE(names.FindStatement("p"), nullptr);
  EXPECT_TRUE(names.FindStatement("p")->unsure);
  EXPECT_TRUE(names.Knows("p"));
  EXPECT_FALSE(names.Knows("q"));
}

TEST(NamesTest, OnlyCursorsWithHoldOutliveTheTransaction) {
  Names names;
  const auto inner = Analysis("SELECT");
  names.Apply(Text("declare a cursor for …", {{What::declare, "a", inner}}));
  names.Apply(Text("declare b cursor WITH HOLD for …", {{What::declare, "b", inner}}));
  auto portal = std::make_shared<Portal>();
  portal->name = "p";
  names.Bound(portal);
  names.TransactionEnded();
  EXPECT_EQ(names.FindPortal("a"), nullptr);
  EXPECT_EQ(names.FindPortal("p"), nullptr);
  EXPECT_NE(names.FindPortal("b"), nullptr);
  EXPECT_EQ(names.Lookup("b"), inner);
}

TEST(NamesTest, ANameThatIsBothIsNeither) {
  Names names;
  names.Prepared(Prepared("x", Analysis("SELECT")));
  auto portal = std::make_shared<Portal>();
  portal->name = "x";
  portal->analysis = Analysis("other");
  names.Bound(portal);
  EXPECT_EQ(names.Lookup("x"), nullptr);
}

TEST(NamesTest, ASimpleQueryDestroysTheUnnamed) {
  Names names;
  names.Prepared(Prepared("", Analysis("SELECT")));
  names.SimpleQuery();
  EXPECT_EQ(names.FindStatement(""), nullptr);
}

}  // namespace
}  // namespace sallyport::pg
