#include "pg/pan_map.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>

namespace sallyport::pg {
namespace {

using testing::IsEmpty;
using testing::SizeIs;

TEST(PanMapTest, AColumnIsReportedOnce) {
  PanMap map({.report_at = 3});
  EXPECT_FALSE(map.Add({7, 1}, 2, 100));
  EXPECT_FALSE(map.Add({7, 2}, 2, 100));
  const auto entry = map.Add({7, 1}, 1, 200);
  ASSERT_TRUE(entry);
  EXPECT_EQ(entry->values, 3u);
  EXPECT_EQ(entry->first, 100);
  EXPECT_EQ(entry->last, 200);
  EXPECT_FALSE(map.Add({7, 1}, 50, 300));
  const auto all = map.entries();
  ASSERT_THAT(all, SizeIs(2));
  EXPECT_EQ(all[0].at, (PanColumn{7, 1}));
  EXPECT_EQ(all[0].values, 53u);
  EXPECT_TRUE(all[0].reported);
  EXPECT_FALSE(all[1].reported);
}

TEST(PanMapTest, WhatHasNoOriginIsNoColumn) {
  PanMap map({.report_at = 1});
  EXPECT_FALSE(map.Add({0, 0}, 9, 1));
  EXPECT_FALSE(map.Add({5, 0}, 9, 1));   // the whole row
  EXPECT_FALSE(map.Add({5, -1}, 9, 1));  // a system column
  EXPECT_FALSE(map.Add({5, 1}, 0, 1));
  EXPECT_THAT(map.entries(), IsEmpty());
}

TEST(PanMapTest, ClassifiesOnlyWhereItMay) {
  PanMap watching({.report_at = 1});
  EXPECT_TRUE(watching.Add({5, 1}, 1, 1));
  EXPECT_THAT(watching.classified(), IsEmpty());
  EXPECT_EQ(watching.version(), 0u);

  PanMap acting({.report_at = 2, .classify = true, .mask = sql::SourceMask::full});
  EXPECT_FALSE(acting.Add({5, 1}, 1, 1));
  EXPECT_THAT(acting.classified(), IsEmpty());
  EXPECT_TRUE(acting.Add({5, 1}, 1, 1));
  ASSERT_THAT(acting.classified(), SizeIs(1));
  EXPECT_EQ(acting.classified()[0].relation, 5u);
  EXPECT_EQ(acting.classified()[0].column, 1);
  EXPECT_EQ(acting.classified()[0].mask, sql::SourceMask::full);
  EXPECT_EQ(acting.version(), 1u);
}

TEST(PanMapTest, IsBounded) {
  PanMap map({.report_at = 1, .columns = 2});
  for (uint32_t i = 1; i <= 5; ++i) map.Add({i, 1}, 10, 1);
  EXPECT_THAT(map.entries(), SizeIs(2));
  EXPECT_EQ(map.overflow(), 30u);
  EXPECT_FALSE(map.Add({1, 1}, 1, 2));
  EXPECT_EQ(map.entries()[0].values, 11u);
}

TEST(PanMapTest, FromManyThreads) {
  PanMap map({.report_at = 1000, .classify = true});
  std::atomic<int> reports{0};
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (uint32_t i = 0; i < 2000; ++i) reports += map.Add({i % 4 + 1, 1}, 1, i).has_value();
    });
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(reports, 4);
  EXPECT_EQ(map.version(), 4u);
  for (const auto& entry : map.entries()) EXPECT_EQ(entry.values, 2000u);
}

TEST(PanMapTest, TheEntryNamesTheColumn) {
  sql::Catalog::Content content;
  content.relations.push_back({.oid = 5, .schema = "shop", .name = "notes"});
  content.relations[0].columns.push_back({.name = "body", .number = 2});
  const sql::Catalog catalog(std::move(content));
  const PanMap::Entry entry{.at = {5, 2}, .values = 4, .first = 1, .last = 9, .reported = true};
  const auto evidence = ColumnFound(entry, "orders-db", &catalog, true);
  EXPECT_EQ(op::EventName(evidence.type), "column.found");
  EXPECT_EQ(evidence.connection, "orders-db");
  EXPECT_EQ(evidence.resource, "shop.notes.body");
  EXPECT_EQ(evidence.count, 4u);
  EXPECT_EQ(evidence.at, 9);
  EXPECT_EQ(PanColumnName({5, 3}, &catalog), "relation 5 column 3");
  EXPECT_EQ(PanColumnName({5, 2}, nullptr), "relation 5 column 2");
}

}  // namespace
}  // namespace sallyport::pg
