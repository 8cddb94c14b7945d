#include "base/trace.h"

#include <gtest/gtest.h>

namespace sallyport {
namespace {

constexpr std::string_view kParent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
constexpr std::string_view kId = "0af7651916cd43dd8448eb211c80319c";

TEST(TraceTest, ReadsWhatTheRecommendationSays) {
  EXPECT_EQ(TraceIdOf(kParent), kId);
  EXPECT_EQ(TraceIdOf("01" + std::string(kParent.substr(2)) + "-more"), kId);
  for (const std::string_view bad :
       {"", "00", "00-0af7651916cd43dd8448eb211c80319c", "0af7651916cd43dd8448eb211c80319c",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01-more",
        "00-0af7651916cd43dd8448eb211c80319c_b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-0g"})
    EXPECT_EQ(TraceIdOf(bad), "") << bad;
}

TEST(TraceTest, FindsItWhereDatabasesAreTold) {
  const std::string parent(kParent);
  for (const std::string& text :
       {"traceparent=" + parent, "/*traceparent='" + parent + "'*/",
        "/* db_driver='x', traceparent = '" + parent + "',z='1' */",
        ("orders traceparent=" + parent).substr(0, 63), "traceparent traceparent=" + parent})
    EXPECT_EQ(TraceIdIn(text), kId) << text;
  for (const std::string& text : {std::string("traceparent="), std::string("traceparent"), parent,
                                  "traceparent" + parent, ("traceparent=" + parent).substr(0, 46)})
    EXPECT_EQ(TraceIdIn(text), "") << text;
}

TEST(TraceTest, MakesNewOnes) {
  const std::string one = NewTraceparent(), two = NewTraceparent();
  EXPECT_EQ(TraceIdOf(one).size(), 32u) << one;
  EXPECT_NE(TraceIdOf(one), TraceIdOf(two));
}

}  // namespace
}  // namespace sallyport
