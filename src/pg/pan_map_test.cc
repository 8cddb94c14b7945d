#include "pg/pan_map.h"

#include <fstream>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <thread>
#include <unistd.h>

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
  PanMap map({.report_at = 4});
  const auto entry = map.Add({5, 2}, 4, 9, &catalog);
  ASSERT_TRUE(entry);
  const auto evidence = ColumnFound(*entry, "orders-db", true);
  EXPECT_EQ(op::EventName(evidence.type), "column.found");
  EXPECT_EQ(evidence.connection, "orders-db");
  EXPECT_EQ(evidence.resource, "shop.notes.body");
  EXPECT_EQ(evidence.count, 4u);
  EXPECT_EQ(evidence.at, 9);
  const auto unnamed = map.Add({5, 3}, 4, 9, &catalog);
  ASSERT_TRUE(unnamed);
  EXPECT_EQ(PanColumnName(*unnamed), "relation 5 column 3");
}

TEST(PanMapTest, OutlivesTheProcess) {
  const auto file =
      std::filesystem::path(testing::TempDir()) / ("pan-map-" + std::to_string(::getpid()));
  sql::Catalog::Content content;
  content.relations.push_back({.oid = 5, .schema = "shop", .name = "a \"b\""});
  content.relations[0].columns.push_back({.name = "body", .number = 2});
  content.relations[0].columns.push_back({.name = "other", .number = 3});
  const sql::Catalog catalog(std::move(content));
  const PanMap::Options options{.report_at = 2, .classify = true, .file = file};
  {
    PanMap map(options);
    EXPECT_TRUE(map.Add({5, 2}, 7, 1795200001000000001, &catalog));
    EXPECT_TRUE(map.Add({6, 1}, 7, 1, &catalog)) << "a column without a name is not kept";
    EXPECT_FALSE(map.Add({5, 3}, 1, 1, &catalog)) << "nor one that is not reported yet";
  }
  PanMap again(options);
  const auto kept = again.entries();
  ASSERT_THAT(kept, SizeIs(1));
  EXPECT_EQ(kept[0].at, (PanColumn{5, 2}));
  EXPECT_EQ(kept[0].values, 7u);
  EXPECT_EQ(kept[0].first, 1795200001000000001);
  EXPECT_TRUE(kept[0].reported);
  EXPECT_FALSE(again.Add({5, 2}, 1, 2, &catalog)) << "reported before the restart";
  ASSERT_THAT(again.classified(), SizeIs(1));
  EXPECT_EQ(again.classified()[0].pattern, "shop.a \"b\".body");
  EXPECT_TRUE(std::filesystem::remove(file));
  {
    std::ofstream(file) << "{\"v\":1,";
    EXPECT_THAT(PanMap(options).entries(), IsEmpty());
    std::filesystem::remove(file);
  }
}

}  // namespace
}  // namespace sallyport::pg
