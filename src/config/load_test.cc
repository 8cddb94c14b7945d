#include "config/load.h"

#include <gtest/gtest.h>

namespace sallyport::config {
namespace {

TEST(Load, ContractIsValid) {
  auto result = LoadFile(SALLYPORT_TESTDATA "/config/contract.yaml");
  ASSERT_TRUE(result.root.has_value()) << RenderText(result.problems);
}

}  // namespace
}  // namespace sallyport::config
