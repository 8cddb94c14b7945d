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

void Turn::Add(const std::shared_ptr<Ledger::Impl>& ledger, std::string entry, Handler handler) {
  const auto same = [&](const std::weak_ptr<Ledger::Impl>& known) {
    return !known.owner_before(ledger) && !ledger.owner_before(known);
  };
  if (std::ranges::none_of(ledgers_, same)) {
    std::erase_if(ledgers_, [](const auto& known) { return known.expired(); });
    ledgers_.push_back(ledger);
  }
  items_.push_back({ledger.get(), std::move(entry), std::move(handler)});
  if (items_.size() == 1) asio::post(context_, [this] { Write(); });
}

/// Null once it is gone.
std::shared_ptr<Ledger::Impl> Turn::Find(const Ledger::Impl* ledger) {
  for (const auto& known : ledgers_) {
    if (auto there = known.lock(); there.get() == ledger) return there;
  }
  return nullptr;
}

void Turn::Write() {
  std::vector<Item> items = std::exchange(items_, std::move(spare_));
  for (std::span<Item> rest = items; !rest.empty();) {
    const Item& front = rest.front();
    // One that is refused for its length must not take the others along.
    const auto together = [&](const Item& item) {
      return item.entry.size() <= kMaxEntryBytes && item.ledger == front.ledger;
    };
    const auto end = std::find_if_not(rest.begin(), rest.end(), together);
    const size_t count = std::max<size_t>(1, size_t(end - rest.begin()));
    WriteTo(Find(front.ledger).get(), rest.first(count));
    rest = rest.subspan(count);
  }
  items.clear();
  spare_ = std::move(items);
}

Result<uint64_t> Turn::AppendAll(Ledger::Impl& ledger, std::span<const Item> items) {
  size_t bytes = 0;
  for (const Item& item : items) bytes += 2 + item.entry.size();
  std::string bundle;
  bundle.reserve(bytes);
  entries_.clear();
  for (const Item& item : items) {
    AppendToBundle(bundle, item.entry);
    entries_.push_back(item.entry);
  }
  return ledger.Append(entries_, std::move(bundle));
}

void Turn::WriteTo(Ledger::Impl* ledger, std::span<Item> items) {
  const Result<uint64_t> first = ledger != nullptr
                                     ? AppendAll(*ledger, items)
                                     : Fail(Errc::ledger_unavailable, "the ledger is closed");
  for (size_t i = 0; i < items.size(); ++i) {
    std::move(items[i].handler)(first ? Result<uint64_t>(*first + i) : first);
  }
}

}  // namespace sallyport::ledger
