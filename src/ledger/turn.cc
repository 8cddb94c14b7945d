#include "ledger/turn.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "ledger/tile.h"

namespace sallyport::ledger {

namespace asio = boost::asio;

Turn::Turn(asio::execution_context& context)
    : service(context), context_(static_cast<asio::io_context&>(context)) {}

Turn& Turn::Of(const asio::any_io_executor& executor) {
  const auto* target = executor.target<asio::io_context::executor_type>();
  if (target == nullptr) {
    std::fputs("ledger: an executor that is not an io_context's\n", stderr);
    std::abort();
  }
  return asio::use_service<Turn>(target->context());
}

/// Coroutines that still wait are destroyed with their handlers; what they own may append again.
void Turn::shutdown() {
  while (!items_.empty()) std::vector<Item>().swap(items_);
}

void Turn::Add(std::weak_ptr<Ledger::Impl> ledger, std::string entry, Handler handler) {
  items_.push_back({std::move(ledger), std::move(entry), std::move(handler)});
  if (items_.size() == 1) asio::post(context_, [this] { Write(); });
}

void Turn::Write() {
  std::vector<Item> items = std::exchange(items_, std::move(spare_));
  for (std::span<Item> rest = items; !rest.empty();) {
    const Item& front = rest.front();
    // One that is refused for its length must not take the others along.
    const auto together = [&](const Item& item) {
      return item.entry.size() <= kMaxEntryBytes && !item.ledger.owner_before(front.ledger) &&
             !front.ledger.owner_before(item.ledger);
    };
    const auto end = std::find_if_not(rest.begin(), rest.end(), together);
    const size_t count = std::max<size_t>(1, size_t(end - rest.begin()));
    WriteTo(front.ledger.lock().get(), rest.first(count));
    rest = rest.subspan(count);
  }
  items.clear();
  spare_ = std::move(items);
}

void Turn::WriteTo(Ledger::Impl* ledger, std::span<Item> items) {
  size_t bytes = 0;
  for (const Item& item : items) bytes += 2 + item.entry.size();
  Result<uint64_t> first = Fail(Errc::ledger_unavailable, "the ledger is closed");
  if (ledger != nullptr) {
    std::string bundle;
    bundle.reserve(bytes);
    entries_.clear();
    for (const Item& item : items) {
      AppendToBundle(bundle, item.entry);
      entries_.push_back(item.entry);
    }
    first = ledger->Append(entries_, std::move(bundle));
  }
  for (size_t i = 0; i < items.size(); ++i) {
    std::move(items[i].handler)(first ? Result<uint64_t>(*first + i) : first);
  }
}

}  // namespace sallyport::ledger
