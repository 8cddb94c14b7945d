#include "mcp/hop.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace sallyport::mcp {
namespace {

boost::asio::awaitable<void> Carry(std::function<boost::asio::awaitable<void>()> work) {
  co_await work();
}

}  // namespace

boost::asio::awaitable<void> RunOn(boost::asio::any_io_executor target,
                                   std::function<boost::asio::awaitable<void>()> work) {
  co_await boost::asio::co_spawn(target, Carry(std::move(work)), boost::asio::use_awaitable);
}

}  // namespace sallyport::mcp
