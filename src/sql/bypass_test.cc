#include <fstream>
#include <gtest/gtest.h>
#include <map>
#include <string>
#include <vector>

#include "sql/analyze.h"
#include "sql/lab_for_tests.h"

namespace sallyport::sql {
namespace {

struct BypassCase {
  std::string id, expect, route;
  std::vector<std::string> statements;
};

std::vector<BypassCase> Read() {
  std::ifstream file(SALLYPORT_TESTDATA "/sql/bypass.sql");
  std::vector<BypassCase> cases;
  auto after = [](const std::string& line, std::string_view key) {
    return line.substr(key.size(), line.find(" |") - key.size());
  };
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("-- @case ")) {
      cases.push_back({.id = after(line, "-- @case ")});
    } else if (line.starts_with("-- @expect ")) {
      cases.back().expect = after(line, "-- @expect ");
    } else if (line.starts_with("-- @route ")) {
      cases.back().route = after(line, "-- @route ");
    } else if (!line.starts_with("--") && !line.empty()) {
      cases.back().statements.push_back(line);
    }
  }
  return cases;
}

struct Session : SessionNames {
  std::map<std::string, AnalysisPtr> known;
  AnalysisPtr Lookup(std::string_view name) const override {
    auto at = known.find(std::string(name));
    return at == known.end() ? nullptr : at->second;
  }
};

TEST(Bypass, EveryCaseTakesItsRoute) {
  static constexpr const char* kRoutes[] = {"as_is", "by_origin", "rewritten", "refused"};
  auto catalog = LabCatalog();
  Analyzer analyzer({}), strict({.source_only = true});
  auto cases = Read();
  ASSERT_GT(cases.size(), 250u);
  for (const auto& c : cases) {
    Session session, same;
    auto worst = Route::as_is;
    std::string detail;
    for (const auto& text : c.statements) {
      auto a = analyzer.Analyze(text, catalog, session);
      for (const auto& name : a->names) {
        if (name.inner) session.known[name.name] = name.inner;
      }
      worst = std::max(worst, a->route);
      if (a->route == Route::refused) detail += a->refusal.detail;
      // Without the relay's help nothing is left to be masked by origin.
      auto b = strict.Analyze(text, catalog, same);
      for (const auto& name : b->names) {
        if (name.inner) same.known[name.name] = name.inner;
      }
      EXPECT_NE(b->route, Route::by_origin) << c.id << ": " << text;
      EXPECT_EQ(a->route == Route::refused, b->route == Route::refused) << c.id << ": " << text;
      EXPECT_FALSE(!a->outputs.empty() && b->route != Route::rewritten) << c.id << ": " << text;
    }
    EXPECT_EQ(kRoutes[static_cast<int>(worst)], c.route) << c.id << ": " << detail;
    EXPECT_EQ(c.expect == "block", worst == Route::refused) << c.id << ": " << detail;
  }
}

}  // namespace
}  // namespace sallyport::sql
