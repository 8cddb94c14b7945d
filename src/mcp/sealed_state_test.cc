#include "mcp/sealed_state.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

namespace sallyport::mcp {
namespace {

class SealedStateTest : public testing::Test {
 protected:
  SealedStateTest()
      : dir_(std::filesystem::temp_directory_path() / ("sealed-" + std::to_string(::getpid()))) {
    std::filesystem::remove_all(dir_);
  }
  ~SealedStateTest() override { std::filesystem::remove_all(dir_); }
  const std::filesystem::path dir_;
};

TEST_F(SealedStateTest, OpensOnlyForItsBindingAndTime) {
  const auto state = *SealedState::Make(dir_);
  const std::string sealed = state->Seal("ana", "text", 100);
  EXPECT_EQ(state->Open("ana", sealed, 99), "text");
  EXPECT_FALSE(state->Open("bob", sealed, 99));
  EXPECT_FALSE(state->Open("ana", sealed, 100));
  EXPECT_NE(sealed, state->Seal("ana", "text", 100)) << "a nonce is never used twice";
  EXPECT_EQ(state->Open("ana", state->Seal("ana", "", 100), 1), "");
}

TEST_F(SealedStateTest, EveryChangedCharacterIsNoticed) {
  const auto state = *SealedState::Make(dir_);
  const std::string sealed = state->Seal("ana", "text", 100);
  for (size_t i = 0; i < sealed.size(); ++i) {
    std::string other = sealed;
    other[i] = other[i] == 'A' ? 'B' : 'A';
    EXPECT_FALSE(state->Open("ana", other, 1)) << i;
  }
  for (const std::string_view bad : {"", "A", "not base64!", "AAAA"})
    EXPECT_FALSE(state->Open("ana", bad, 1));
}

TEST_F(SealedStateTest, TheKeyLastsAndIsPrivate) {
  const std::string sealed = (*SealedState::Make(dir_))->Seal("ana", "text", 100);
  EXPECT_EQ((*SealedState::Make(dir_))->Open("ana", sealed, 1), "text");
  struct stat info{};
  const std::string file = dir_ / "mcp-state.key";
  ASSERT_EQ(::stat(file.c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
  ::chmod(file.c_str(), 0644);
  EXPECT_FALSE(SealedState::Make(dir_));
}

}  // namespace
}  // namespace sallyport::mcp
