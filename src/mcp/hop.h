#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>

namespace sallyport::mcp {

/// Runs a coroutine on another shard and comes back. What `work` refers to may live in the caller's
/// frame: the caller does not go on before `work` has ended. Cheap enough for each message of a
/// stream (two posts).
boost::asio::awaitable<void> RunOn(boost::asio::any_io_executor target,
                                   std::function<boost::asio::awaitable<void>()> work);

}  // namespace sallyport::mcp
