#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/execution_context.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/writer_impl.h"

namespace sallyport::ledger {

/// What the coroutines of one io_context append in one turn of its loop, so that it is written
/// together. A service of the context; touched by its one thread only.
class Turn final : public boost::asio::execution_context::service {
 public:
  using key_type = Turn;
  inline static boost::asio::execution_context::id id;
  using Handler =
      boost::asio::async_result<boost::asio::use_awaitable_t<boost::asio::any_io_executor>,
                                void(Result<uint64_t>)>::handler_type;

  explicit Turn(boost::asio::execution_context& context);
  /// That of the context behind `executor`, which must be an io_context.
  static Turn& Of(const boost::asio::any_io_executor& executor);

  void Add(const std::shared_ptr<Ledger::Impl>& ledger, std::string entry, Handler handler);

 private:
  struct Item {
    const Ledger::Impl* ledger;  // to tell them apart only
    std::string entry;
    Handler handler;
  };

  void shutdown() override;
  void Write();
  std::shared_ptr<Ledger::Impl> Find(const Ledger::Impl* ledger);
  Result<uint64_t> AppendAll(Ledger::Impl& ledger, std::span<const Item> items);
  void WriteTo(Ledger::Impl* ledger, std::span<Item> items);

  boost::asio::io_context& context_;
  std::vector<Item> items_, spare_;
  std::vector<std::string_view> entries_;  // scratch
  /// The ledgers that entries came for, mostly one: threads would fight for its counter if each
  /// entry held a share.
  std::vector<std::weak_ptr<Ledger::Impl>> ledgers_;
};

}  // namespace sallyport::ledger
