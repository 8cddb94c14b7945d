#include "credential/renewal.h"

#include <gtest/gtest.h>

namespace sallyport::credential {
namespace {

using namespace std::chrono_literals;

/// A source that answers when it is let.
class Source {
 public:
  Renewal::Obtain obtain() {
    return [this](std::stop_token) -> Result<Material> {
      std::unique_lock lock(mutex_);
      ++asked_;
      changed_.notify_all();
      changed_.wait(lock, [this] { return open_; });
      Material made;
      made.secret = Secret("token-" + std::to_string(asked_));
      return made;
    };
  }
  void Open(bool open) {
    const std::lock_guard lock(mutex_);
    open_ = open;
    changed_.notify_all();
  }
  void WaitForAsked(int n) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, 5s, [&] { return asked_ >= n; });
    EXPECT_EQ(asked_, n);
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = true;
  int asked_ = 0;
};

MaterialPtr WaitFor(Renewal& renewal, const std::string& key, const Renewal::Obtain& obtain) {
  for (int i = 0; i < 500; ++i) {
    if (auto known = renewal.Known(key, obtain)) return known;
    std::this_thread::sleep_for(10ms);
  }
  return nullptr;
}

TEST(Renewal, WhatIsForgottenIsObtainedAgain) {
  Source source;
  Renewal renewal("x", SystemClock(), 1);
  const auto obtain = source.obtain();
  ASSERT_TRUE(WaitFor(renewal, "ana", obtain));
  ASSERT_TRUE(WaitFor(renewal, "ben", obtain));
  const auto ben = renewal.Known("ben", obtain);
  renewal.Forget("ana");
  renewal.Forget("nobody");
  EXPECT_EQ(renewal.Known("ben", obtain), ben);
  const auto again = WaitFor(renewal, "ana", obtain);
  ASSERT_TRUE(again);
  EXPECT_EQ(again->secret.Reveal(), "token-3");
}

TEST(Renewal, WhatWasUnderWayWhenItWasForgottenIsNotUsed) {
  Source source;
  source.Open(false);
  Renewal renewal("x", SystemClock(), 1);
  const auto obtain = source.obtain();
  EXPECT_FALSE(renewal.Known("ana", obtain));
  source.WaitForAsked(1);
  renewal.Forget("ana");
  source.Open(true);
  const auto got = WaitFor(renewal, "ana", obtain);
  ASSERT_TRUE(got);
  EXPECT_EQ(got->secret.Reveal(), "token-2");
}

}  // namespace
}  // namespace sallyport::credential
