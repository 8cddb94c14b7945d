#include "mcp/call_stream.h"

#include <gtest/gtest.h>

#include "mcp/upstream_fake.h"

namespace sallyport::mcp {
namespace {

using std::chrono::milliseconds;

class CallStreamTest : public testing::Test {
 protected:
  Result<std::optional<Outgoing>> Next(CallStream& stream, uint64_t ticket) {
    io_.restart();
    return Await(io_, stream.Next(ticket, milliseconds(0)));
  }
  void Push(CallStream& stream, std::string json) {
    io_.restart();
    ASSERT_TRUE(Await(io_, stream.Push(std::move(json))));
  }

  boost::asio::io_context io_;
};

TEST_F(CallStreamTest, WhatNobodyReadsIsBoundedInBytes) {
  CallStream stream(io_.get_executor(), 256);
  for (int i = 0; i < 100; ++i) Push(stream, std::string(1 << 20, 'x'));
  EXPECT_FALSE(stream.Has(90)) << "100 MiB are kept";
  EXPECT_TRUE(stream.Has(98));
  const uint64_t ticket = stream.Attach(98);
  EXPECT_EQ((*Next(stream, ticket))->number, 99u);
  EXPECT_EQ((*Next(stream, ticket))->number, 100u);
}

TEST_F(CallStreamTest, WhatIsKeptForReplayIsBoundedInBytes) {
  CallStream stream(io_.get_executor(), 256);
  const uint64_t ticket = stream.Attach(0);
  for (uint64_t i = 1; i <= 20; ++i) {
    Push(stream, std::string(1 << 20, 'x'));
    EXPECT_EQ((*Next(stream, ticket))->number, i);
  }
  EXPECT_FALSE(stream.Has(10));
  EXPECT_TRUE(stream.Has(17));
}

TEST_F(CallStreamTest, ASlowReaderHoldsTheWriterByBytes) {
  CallStream stream(io_.get_executor(), 0);
  const uint64_t ticket = stream.Attach(0);
  int written = 0;
  boost::asio::co_spawn(
      io_,
      [](CallStream& to, int& count) -> boost::asio::awaitable<void> {
        for (int i = 0; i < 32; ++i) {
          (void)co_await to.Push(std::string(1 << 20, 'x'));
          ++count;
        }
      }(stream, written),
      boost::asio::detached);
  io_.restart();
  io_.poll();
  EXPECT_LE(written, 5);
  for (int i = 0; i < 32; ++i) {
    ASSERT_TRUE(*Next(stream, ticket)) << i;
    io_.restart();
    io_.poll();
  }
  EXPECT_EQ(written, 32);
}

TEST_F(CallStreamTest, AnEndedStreamGivesWhatItHasAndNoMore) {
  CallStream stream(io_.get_executor(), 256);
  const uint64_t ticket = stream.Attach(0);
  Push(stream, "1");
  stream.End();
  EXPECT_EQ((*Next(stream, ticket))->json, "1");
  EXPECT_FALSE(*Next(stream, ticket));
  io_.restart();
  EXPECT_FALSE(Await(io_, stream.Push("2")));
}

}  // namespace
}  // namespace sallyport::mcp
