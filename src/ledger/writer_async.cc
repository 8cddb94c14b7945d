#include <boost/asio/associated_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "ledger/writer_impl.h"

namespace sallyport::ledger {

Task<uint64_t> Ledger::AppendStrict(std::string entry) {
  namespace asio = boost::asio;
  auto initiate = [this, &entry](auto handler) {
    auto work = asio::make_work_guard(asio::get_associated_executor(handler));
    impl_->AppendStrict(
        entry, [handler = std::move(handler), work = std::move(work)](Result<uint64_t> r) mutable {
          const auto executor = work.get_executor();
          asio::post(executor, [handler = std::move(handler), r = std::move(r)]() mutable {
            std::move(handler)(std::move(r));
          });
          work.reset();
        });
  };
  co_return co_await asio::async_initiate<const asio::use_awaitable_t<>&, void(Result<uint64_t>)>(
      initiate, asio::use_awaitable);
}

}  // namespace sallyport::ledger
