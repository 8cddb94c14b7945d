#pragma once

#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>

namespace sallyport::identity {

/// Calls `start` with a function, and completes when that has been called (once, on any thread), or
/// at `deadline`. The coroutine's executor must be single-threaded or a strand.
boost::asio::awaitable<void> UntilCalled(std::function<void(std::function<void()>)> start,
                                         std::chrono::steady_clock::time_point deadline);

}  // namespace sallyport::identity
