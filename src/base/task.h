#pragma once

#include <boost/asio/awaitable.hpp>

#include "base/result.h"

namespace sallyport {

/// A coroutine on the shard's io_context that yields a Result. A function given to `co_spawn` owns its state;
/// an awaited one may take references. Every await that can block has a deadline.
template <class T = void>
using Task = boost::asio::awaitable<Result<T>>;

}  // namespace sallyport
