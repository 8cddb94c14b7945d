#include "mask/hidden_number.h"

#include <gtest/gtest.h>

namespace sallyport::mask {
namespace {

TEST(HiddenNumberTest, WhateverStandsBesideIt) {
  const DetectorSpec spec{.name = "pan"};
  const auto masker = Masker::Make(std::span(&spec, 1), {}).value();
  for (const char* text : {"4111111111111111aaaaaaaaaaaaaaaa", "aaaaaaaaaaaaaaaa4111111111111111",
                           "a941111111111111117aaaaaaaaaaaaa", "aaaa378282246310005aaaaaaaaaaaaa"})
    EXPECT_TRUE(HidesNumber(*masker, text)) << text;
  for (const char* text : {"0af7651916cd43dd8448eb211c80319c", "4111111111111112aaaaaaaaaaaaaaaa",
                           "41111111a11111111aaaaaaaaaaaaaaa", ""})
    EXPECT_FALSE(HidesNumber(*masker, text)) << text;
}

}  // namespace
}  // namespace sallyport::mask
