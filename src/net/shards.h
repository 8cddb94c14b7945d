#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <cstddef>
#include <functional>
#include <memory>

namespace sallyport::net {

/// One thread and one single-threaded io_context per shard. What lives on a shard is touched by
/// that thread only; a connection never leaves its shard. Across shards go immutable snapshots and
/// posted functions.
class Shards {
 public:
  explicit Shards(size_t count);
  ~Shards();  // Stop(), joined
  Shards(const Shards&) = delete;

  size_t size() const;
  boost::asio::any_io_executor executor(size_t shard) const;
  /// The index of the shard whose thread calls, or size() on any other thread.
  size_t current() const;

  void Start();
  /// Ends the loops; what still waits is destroyed on its shard.
  void Stop();

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace sallyport::net
