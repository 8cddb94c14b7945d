#include "net/event.h"

#include <atomic>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <future>
#include <gtest/gtest.h>
#include <stdexcept>
#include <thread>

#include "net/shards.h"

namespace sallyport::net {
namespace {

using namespace std::chrono_literals;
namespace asio = boost::asio;

/// Runs `task` on a shard and gives what `done` was set to.
template <class T>
T RunOn(Shards& shards, asio::awaitable<void> task, std::promise<T>& done) {
  auto future = done.get_future();
  Spawn(shards.executor(0), std::move(task));
  EXPECT_EQ(future.wait_for(5s), std::future_status::ready);
  return future.get();
}

TEST(ShardsTest, EachShardHasItsThread) {
  Shards shards(2);
  EXPECT_EQ(shards.size(), 2u);
  EXPECT_EQ(shards.current(), 2u);
  shards.Start();
  for (size_t i = 0; i < 2; ++i) {
    std::promise<size_t> index;
    Post(shards.executor(i), [&] { index.set_value(shards.current()); });
    EXPECT_EQ(index.get_future().get(), i);
  }
}

TEST(ShardsTest, AnExceptionEndsItsHandlerNotTheShard) {
  Shards shards(1);
  shards.Start();
  Post(shards.executor(0), [] { throw std::runtime_error("expected by the test"); });
  std::promise<void> alive;
  Post(shards.executor(0), [&] { alive.set_value(); });
  EXPECT_EQ(alive.get_future().wait_for(5s), std::future_status::ready);
}

struct Owned {
  explicit Owned(std::atomic<size_t>& w, Shards& s) : where(w), shards(s) {}
  ~Owned() { where = shards.current(); }
  std::atomic<size_t>& where;
  Shards& shards;
};

asio::awaitable<void> WaitForever(std::shared_ptr<Event> event, std::atomic<size_t>& where,
                                  Shards& shards) {
  const Owned owned(where, shards);
  (void)co_await event->Wait(1h);
}

TEST(ShardsTest, StopDestroysWhatWaitsOnItsShard) {
  std::atomic<size_t> where{99};
  Shards shards(2);
  auto event = std::make_shared<Event>(shards.executor(1));
  shards.Start();
  Spawn(shards.executor(1), WaitForever(event, where, shards));
  std::this_thread::sleep_for(20ms);
  EXPECT_EQ(where, 99u);
  shards.Stop();
  EXPECT_EQ(where, 1u);
}

asio::awaitable<void> WaitOnce(Event& event, std::chrono::milliseconds limit,
                               std::promise<Result<>>& done) {
  auto result = co_await event.Wait(limit);
  done.set_value(std::move(result));
}

TEST(EventTest, SetWakesAndStaysUntilCleared) {
  Shards shards(1);
  Event event(shards.executor(0));
  shards.Start();
  std::promise<Result<>> first, second, third;
  auto f1 = first.get_future(), f2 = second.get_future();
  Spawn(shards.executor(0), WaitOnce(event, 5s, first));
  Spawn(shards.executor(0), WaitOnce(event, 5s, second));
  Post(shards.executor(0), [&] { event.Set(); });
  EXPECT_TRUE(f1.get());
  EXPECT_TRUE(f2.get());
  EXPECT_TRUE(RunOn(shards, WaitOnce(event, 0ms, third), third));
  std::promise<Result<>> fourth;
  Post(shards.executor(0), [&] { event.Clear(); });
  const auto cleared = RunOn(shards, WaitOnce(event, 30ms, fourth), fourth);
  ASSERT_FALSE(cleared);
  EXPECT_EQ(cleared.error().code, Errc::upstream_timeout);
}

TEST(EventTest, DeathCancels) {
  Shards shards(1);
  auto event = std::make_unique<Event>(shards.executor(0));
  shards.Start();
  std::promise<Result<>> done;
  auto future = done.get_future();
  Spawn(shards.executor(0), WaitOnce(*event, 5s, done));
  Post(shards.executor(0), [&] { event.reset(); });
  const auto result = future.get();
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Errc::cancelled);
}

asio::awaitable<void> SleepFor(std::chrono::milliseconds delay,
                               std::promise<std::chrono::milliseconds>& done) {
  const auto start = std::chrono::steady_clock::now();
  (void)co_await Sleep(delay);
  done.set_value(std::chrono::duration_cast<std::chrono::milliseconds>(
      std::chrono::steady_clock::now() - start));
}

TEST(EventTest, SleepIsNeverEarlyAndLittleLate) {
  Shards shards(1);
  shards.Start();
  for (const auto delay : {1ms, 15ms, 120ms, 400ms}) {
    std::promise<std::chrono::milliseconds> done;
    const auto slept = RunOn(shards, SleepFor(delay, done), done);
    EXPECT_GE(slept, delay);
    EXPECT_LE(slept, delay + 400ms);  // 20 ms, but the machine may be busy
  }
}

TEST(EventTest, AShorterDeadlineAfterALongOneIsKept) {
  Shards shards(1);
  shards.Start();
  std::promise<std::chrono::milliseconds> long_one, short_one;
  Spawn(shards.executor(0), SleepFor(300ms, long_one));
  EXPECT_LE(RunOn(shards, SleepFor(20ms, short_one), short_one), 280ms);
  EXPECT_GE(long_one.get_future().get(), 300ms);
}

asio::awaitable<void> Race(std::promise<size_t>& done) {
  using namespace asio::experimental::awaitable_operators;
  const auto won = co_await (Sleep(5s) || Sleep(10ms));
  done.set_value(won.index());
}

TEST(EventTest, AsioCancellationEndsAWait) {
  Shards shards(1);
  shards.Start();
  std::promise<size_t> done;
  EXPECT_EQ(RunOn(shards, Race(done), done), 1u);
}

asio::awaitable<void> PopAll(Queue<int>& queue, std::promise<std::vector<int>>& done) {
  std::vector<int> all;
  for (;;) {
    auto item = co_await queue.Pop(5s);
    if (!item || !*item) break;
    all.push_back(**item);
  }
  done.set_value(all);
}

TEST(QueueTest, BoundedInOrderAndClosed) {
  Shards shards(1);
  Queue<int> queue(shards.executor(0), 2);
  shards.Start();
  std::promise<std::vector<int>> done;
  auto future = done.get_future();
  Post(shards.executor(0), [&] {
    EXPECT_TRUE(queue.Push(1));
    EXPECT_TRUE(queue.Push(2));
    EXPECT_FALSE(queue.Push(3));
    Spawn(shards.executor(0), PopAll(queue, done));
  });
  std::this_thread::sleep_for(20ms);
  Post(shards.executor(0), [&] {
    EXPECT_TRUE(queue.Push(4));
    queue.Close();
    EXPECT_FALSE(queue.Push(5));
  });
  EXPECT_EQ(future.get(), (std::vector<int>{1, 2, 4}));
}

asio::awaitable<void> Throw() {
  throw std::runtime_error("expected by the test");
  co_return;
}

TEST(SpawnTest, AnExceptionIsNotFatal) {
  Shards shards(1);
  shards.Start();
  Spawn(shards.executor(0), Throw());
  std::promise<std::chrono::milliseconds> done;
  EXPECT_GE(RunOn(shards, SleepFor(5ms, done), done), 5ms);
}

}  // namespace
}  // namespace sallyport::net
