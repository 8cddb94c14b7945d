#include "mcp/upstream_call.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/dispatch.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>

#include "net/loop.h"

namespace sallyport::mcp {

namespace asio = boost::asio;

struct CallTable::Entry : std::enable_shared_from_this<CallTable::Entry> {
  enum class End : uint8_t { none, cancelled, timeout };
  explicit Entry(asio::any_io_executor e)
      : executor(std::move(e)), limit(net::Loop::Of(executor), [this] { Stop(End::timeout); }) {}

  asio::any_io_executor executor;
  asio::cancellation_signal signal;
  net::Deadline limit;
  End end = End::none;
  bool done = false;

  /// Emits within the loop only: from outside of it (Close at the end of a process) Asio would hand
  /// the coroutine a pointer that may be stale when the loop comes to it.
  void Stop(End why) {
    if (end == End::none) end = why;
    asio::dispatch(executor, [self = shared_from_this()] {
      if (!self->done) self->signal.emit(asio::cancellation_type::terminal);
    });
  }
};

CallTable::~CallTable() { CancelAll(); }

void CallTable::Cancel(uint64_t token) {
  const auto at = entries_.find(token);
  if (at == entries_.end()) return;
  const auto entry = at->second;  // Stop may resume the call, which erases itself
  entry->Stop(Entry::End::cancelled);
}

void CallTable::CancelAll() {
  auto entries = std::move(entries_);
  entries_.clear();
  for (const auto& [token, entry] : entries) entry->Stop(Entry::End::cancelled);
}

Task<UpstreamAnswer> CallTable::Run(uint64_t token, std::chrono::milliseconds limit,
                                    Task<UpstreamAnswer> work) {
  const auto executor = co_await asio::this_coro::executor;
  const auto entry = std::make_shared<Entry>(executor);
  entries_.emplace(token, entry);
  if (limit.count() > 0) entry->limit.SetAfter(limit);
  // The spawned coroutine listens to the entry's signal instead of ours: pass ours on.
  auto outer = (co_await asio::this_coro::cancellation_state).slot();
  if (outer.is_connected()) {
    outer.assign([entry](asio::cancellation_type) { entry->Stop(Entry::End::cancelled); });
  }
  auto [failure, result] = co_await asio::co_spawn(
      executor, std::move(work),
      asio::bind_cancellation_slot(entry->signal.slot(), asio::as_tuple(asio::use_awaitable)));
  if (outer.is_connected()) outer.clear();
  entry->done = true;
  entry->limit.Clear();
  entries_.erase(token);
  if (!failure && result) co_return std::move(result);
  if (entry->end == Entry::End::timeout) {
    co_return Fail(Errc::upstream_timeout, "no answer within the limit of a call");
  }
  if (entry->end == Entry::End::cancelled) co_return Fail(Errc::cancelled, "call cancelled");
  if (failure) std::rethrow_exception(failure);
  co_return std::move(result);
}

Task<Turn::Hold> Turn::Take(std::chrono::milliseconds limit) {
  while (busy_) {
    free_.Clear();
    SALLYPORT_CO_CHECK(co_await free_.Wait(limit));
  }
  busy_ = true;
  co_return Hold(*this);
}

}  // namespace sallyport::mcp
