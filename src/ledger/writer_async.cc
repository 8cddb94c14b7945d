#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "ledger/turn.h"
#include "ledger/writer_impl.h"

namespace sallyport::ledger {

namespace asio = boost::asio;

Task<uint64_t> Ledger::AppendSoon(std::string entry) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<uint64_t>)>(
      [this](Turn::Handler handler, std::string bytes) {
        Turn& turn = Turn::Of(asio::get_associated_executor(handler));
        turn.Add(impl_, std::move(bytes), std::move(handler));
      },
      asio::use_awaitable, std::move(entry));
}

Task<uint64_t> Ledger::AppendStrict(std::string entry) {
  return asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<uint64_t>)>(
      [impl = impl_.get()](auto handler, std::string bytes) {
        auto work = asio::make_work_guard(asio::get_associated_executor(handler));
        impl->AppendStrict(bytes, [handler = std::move(handler),
                                   work = std::move(work)](Result<uint64_t> r) mutable {
          const auto executor = work.get_executor();
          asio::post(executor, [handler = std::move(handler), r = std::move(r)]() mutable {
            std::move(handler)(std::move(r));
          });
          work.reset();
        });
      },
      asio::use_awaitable, std::move(entry));
}

}  // namespace sallyport::ledger
