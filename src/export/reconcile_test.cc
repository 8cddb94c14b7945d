#include "export/reconcile.h"

#include <gtest/gtest.h>

#include "export/format.h"
#include "export/log_for_tests.h"

namespace sallyport::exporting {
namespace {

std::vector<std::string> Lines(Spool& spool, Format format) {
  std::vector<std::string> lines;
  for (uint64_t i = 0; i < spool.size(); ++i)
    lines.push_back(Render({.format = format, .version = "1"}, *spool.Read(i)));
  return lines;
}

class ReconcileTest : public testing::Test {
 protected:
  ReconcileTest() {
    for (int i = 0; i < 20; ++i) log_.Call("{\"note\":\"CEF:0| externalId=x:1 cs1=y\"}");
    log_.Publish();
    spool_.emplace(*Spool::Open(log_.dir.path()));
  }
  Reconciliation::Report Compare(const std::vector<std::string>& lines, uint64_t from = 0,
                                 uint64_t to = ~0ull) {
    Reconciliation r(spool_->origin());
    for (const std::string& line : lines) r.Add(line);
    return *r.Compare(*spool_, from, to);
  }

  TestLog log_;
  std::optional<Spool> spool_;
};

TEST_F(ReconcileTest, EveryFormatIsReadAlsoInWhatReceiversPutAroundIt) {
  for (const Format format : {Format::ocsf, Format::cef, Format::ecs, Format::json}) {
    auto lines = Lines(*spool_, format);
    for (std::string& line : lines) line = "<110>1 2026-11-22T00:00:00Z h a - m [meta] " + line;
    const auto report = Compare(lines);
    EXPECT_TRUE(report.whole()) << FormatName(format) << report.Text();
    EXPECT_EQ(report.arrived, spool_->size());
    EXPECT_EQ(report.unread, 0u);
  }
  auto collected = Lines(*spool_, Format::json);
  for (std::string& line : collected) line = R"({"time":1.5,"event":)" + line + "}";
  EXPECT_TRUE(Compare(collected).whole());
  std::vector<std::string> plain;
  for (uint64_t i = 0; i < spool_->size(); ++i)
    plain.push_back(std::to_string(i) + " " + *spool_->LeafOf(i));
  EXPECT_TRUE(Compare(plain).whole());
}

TEST_F(ReconcileTest, WhatIsMissingChangedRepeatedAndForeignIsNamed) {
  auto lines = Lines(*spool_, Format::json);
  lines[7] = lines[7].replace(lines[7].find("leaf_hash") + 12, 1, "!");
  lines.push_back(lines[0]);
  lines.push_back("not an event");
  lines.push_back(R"({"origin":"other.example.com/log","index":3,"leaf_hash":")" +
                  *spool_->LeafOf(3) + "\"}");
  lines.push_back("4711 " + *spool_->LeafOf(3));
  lines.erase(lines.begin() + 11, lines.begin() + 14);
  lines.erase(lines.begin() + 2);
  const auto report = Compare(lines);
  EXPECT_FALSE(report.whole());
  ASSERT_EQ(report.missing.size(), 2u);
  EXPECT_EQ(report.missing[0].from, 2u);
  EXPECT_EQ(report.missing[0].to, 3u);
  EXPECT_EQ(report.missing[1].from, 11u);
  EXPECT_EQ(report.missing[1].to, 14u);
  EXPECT_EQ(report.changed, std::vector<uint64_t>{7});
  EXPECT_EQ(report.repeated, 1u);
  EXPECT_EQ(report.unread, 1u);
  EXPECT_EQ(report.foreign, 2u);
  EXPECT_TRUE(Compare(Lines(*spool_, Format::json), 5, 9).whole());
  EXPECT_FALSE(Compare({}).whole());
}

TEST_F(ReconcileTest, TwoDifferentCopiesOfOneEntryAreNotBelieved) {
  auto lines = Lines(*spool_, Format::json);
  std::string other = lines[4];
  lines.push_back(other.replace(other.find("leaf_hash") + 12, 1, "!"));
  EXPECT_EQ(Compare(lines).changed, std::vector<uint64_t>{4});
}

}  // namespace
}  // namespace sallyport::exporting
