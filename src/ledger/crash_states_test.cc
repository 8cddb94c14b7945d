#include <gtest/gtest.h>

#include "ledger/crash_states_for_tests.h"
#include "ledger/io_faults_for_tests.h"
#include "ledger/scratch_for_tests.h"

namespace sallyport::ledger {
namespace {

/// The long one is `./dev crash`.
TEST(CrashStates, TheLogOpensInEachAndHasKeptItsPromises) {
  const MemoryScratch dir;
  const CrashStates result = RunCrashStates(dir.path() / "disk", 600, 1);
  EXPECT_EQ(result.failure, "");
  EXPECT_GE(result.images, 600u);
  EXPECT_GT(result.different, 100u);
  EXPECT_GT(result.acknowledged, 100u);
}

TEST(IoFaults, NothingLeavesWithoutItsEntry) {
  const MemoryScratch dir;
  const IoFaults result = RunIoFaults(dir.path() / "disk", 150, 1);
  EXPECT_EQ(result.failure, "");
  EXPECT_GE(result.runs, 150u);
  EXPECT_GT(result.poisoned, 0u);
  EXPECT_GT(result.withheld, 0u);
  EXPECT_GT(result.released, 0u);
  EXPECT_GT(result.refused_open, 0u);
}

}  // namespace
}  // namespace sallyport::ledger
