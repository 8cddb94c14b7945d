#include "pg/own_backends.h"

#include <gtest/gtest.h>

namespace sallyport::pg {
namespace {

TEST(OwnBackends, KnowsItsOwnAndNobodyElse) {
  OwnBackends& own = OwnBackends::OfProcess();
  EXPECT_FALSE(own.Knows(4711, 50123, true));
  auto token = own.Begin(50123);
  EXPECT_TRUE(own.Beginning());
  EXPECT_TRUE(own.Knows(4711, 50123, true));  // it may be this one, by its port
  EXPECT_FALSE(own.Knows(4711, 50124, true));
  EXPECT_FALSE(own.Knows(4711, 50123, false));  // without ports nothing tells
  OwnBackends::Named(token, 4711);
  EXPECT_FALSE(own.Beginning());
  EXPECT_TRUE(own.Knows(4711, 50123, true));
  EXPECT_FALSE(own.Knows(4712, 50123, true));  // its port, another process: it was used again
  EXPECT_FALSE(own.Knows(4711, 50124, true));  // its process id, from elsewhere
  EXPECT_TRUE(own.Knows(4711, 50124, false));  // addresses are translated on the way
  token.reset();
  EXPECT_TRUE(own.Knows(4711, 50123, true));  // the server ends it a moment later
}

TEST(OwnBackends, OneOnASocketIsKnownByItsProcess) {
  OwnBackends& own = OwnBackends::OfProcess();
  auto token = own.Begin(0);
  EXPECT_FALSE(own.Knows(99, 0, true));
  OwnBackends::Named(token, 99);
  EXPECT_TRUE(own.Knows(99, 0, false));
  EXPECT_FALSE(own.Knows(98, 0, false));
}

}  // namespace
}  // namespace sallyport::pg
