#include <filesystem>
#include <fstream>
#include <gtest/gtest.h>
#include <sstream>

#include "base/error.h"
#include "config/problem.h"

// The pages that list stable names have to list all of them.

namespace sallyport::config {
namespace {

std::string Page(const char* name) {
  std::ifstream in(std::filesystem::path(SALLYPORT_TESTDATA) / ".." / "docs" / name);
  std::stringstream out;
  out << in.rdbuf();
  return out.str();
}

TEST(Docs, EveryReasonCodeIsExplained) {
  auto page = Page("reason-codes.md");
  for (int i = 0; i <= static_cast<int>(Errc::internal); ++i) {
    std::string code(ReasonCode(static_cast<Errc>(i)));
    EXPECT_NE(page.find("\n| `" + code + "` |"), std::string::npos) << code;
  }
}

TEST(Docs, EveryProblemCodeIsExplained) {
  auto page = Page("configuration.md");
  for (auto code : {kCfgFile, kCfgSyntax, kCfgTooLarge, kCfgAlias, kCfgVersion, kCfgUnknownKey,
                    kCfgDuplicateKey, kCfgMissingKey, kCfgWrongType, kCfgBadValue, kCfgInlineSecret,
                    kCfgUnknownName, kCfgDuplicateName, kCfgConflict, kCfgInsecure, kCfgRule,
                    kCfgNoEffect, kCfgSecretMissing}) {
    EXPECT_NE(page.find("\n| `" + std::string(code) + "` |"), std::string::npos) << code;
  }
}

}  // namespace
}  // namespace sallyport::config
