#include "pg/cancel_keys.h"

#include <atomic>
#include <future>
#include <gtest/gtest.h>
#include <set>
#include <thread>

#include "net/event.h"
#include "net/shards.h"

namespace sallyport::pg {
namespace {

class CancelKeysTest : public testing::Test {
 public:
  void SetUp() override { shards_.Start(); }
  void TearDown() override { shards_.Stop(); }
  /// Runs `f` on a shard and waits for it.
  template <class F>
  void On(size_t shard, F f) {
    std::promise<void> done;
    net::Post(shards_.executor(shard), [&] {
      f();
      done.set_value();
    });
    done.get_future().wait();
  }
  std::unique_ptr<CancelKeys::Ticket> Issue(uint32_t pid, uint32_t minor, size_t shard,
                                            std::atomic<int>& cancelled) {
    std::unique_ptr<CancelKeys::Ticket> ticket;
    On(shard, [&] {
      ticket = keys_.Issue(pid, minor, shards_.executor(shard), [this, shard, &cancelled] {
        EXPECT_EQ(shards_.current(), shard);
        ++cancelled;
      });
    });
    return ticket;
  }
  void Settle() {
    for (size_t i = 0; i < shards_.size(); ++i) On(i, [] {});
  }

  net::Shards shards_{2};
  CancelKeys keys_;
};

TEST_F(CancelKeysTest, TheRightKeyReachesItsSessionOnItsShard) {
  std::atomic<int> a = 0, b = 0, c = 0;
  const auto first = Issue(7, 0, 0, a), second = Issue(7, 2, 1, b), third = Issue(8, 2, 1, c);
  EXPECT_EQ(first->key().size(), 4u);
  EXPECT_EQ(second->key().size(), 32u);
  EXPECT_TRUE(keys_.Cancel({7, second->key()}));
  Settle();
  EXPECT_EQ(a, 0);
  EXPECT_EQ(b, 1) << "the other backend of the same number is another one";
  EXPECT_TRUE(keys_.Cancel({7, first->key()}));
  EXPECT_TRUE(keys_.Cancel({8, third->key()}));
  Settle();
  EXPECT_EQ(a, 1);
  EXPECT_EQ(c, 1);
}

TEST_F(CancelKeysTest, WrongKeysDoNothing) {
  std::atomic<int> n = 0;
  const auto ticket = Issue(7, 2, 0, n);
  const std::string key = ticket->key();
  for (size_t i = 0; i < key.size(); ++i) {
    std::string wrong = key;
    wrong[i] ^= 1;
    EXPECT_FALSE(keys_.Cancel({7, wrong}));
  }
  EXPECT_FALSE(keys_.Cancel({8, key}));
  EXPECT_FALSE(keys_.Cancel({7, key.substr(0, 31)}));
  EXPECT_FALSE(keys_.Cancel({7, key + "x"}));
  EXPECT_FALSE(keys_.Cancel({7, ""}));
  Settle();
  EXPECT_EQ(n, 0);
}

TEST_F(CancelKeysTest, AKeyDiesWithItsSession) {
  std::atomic<int> n = 0;
  auto ticket = Issue(7, 0, 0, n);
  const std::string key = ticket->key();
  On(0, [&] {
    // Posted, and gone before it runs.
    EXPECT_TRUE(keys_.Cancel({7, key}));
    ticket.reset();
  });
  Settle();
  EXPECT_EQ(n, 0);
  EXPECT_EQ(keys_.size(), 0u);
  EXPECT_FALSE(keys_.Cancel({7, key}));
}

TEST_F(CancelKeysTest, KeysAreRandomAndComeBack) {
  std::set<std::string> seen;
  std::atomic<int> n = 0;
  for (int i = 0; i < 200; ++i) seen.insert(Issue(1, 2, i % 2, n)->key());
  EXPECT_EQ(seen.size(), 200u);
  EXPECT_EQ(keys_.size(), 0u);
}

TEST_F(CancelKeysTest, FromManyThreads) {
  std::atomic<int> n = 0, right = 0;
  std::vector<std::unique_ptr<CancelKeys::Ticket>> tickets;
  for (uint32_t i = 0; i < 20; ++i) tickets.push_back(Issue(i % 3, 2, i % 2, n));
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t)
    threads.emplace_back([&] {
      for (int i = 0; i < 500; ++i)
        right += keys_.Cancel({uint32_t(i % 20 % 3), tickets[i % 20]->key()});
    });
  for (auto& thread : threads) thread.join();
  Settle();
  EXPECT_EQ(right, 2000);
  EXPECT_EQ(n, 2000);
}

}  // namespace
}  // namespace sallyport::pg
