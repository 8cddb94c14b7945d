#include "mcp/call_stream.h"

#include <algorithm>

namespace sallyport::mcp {

Task<> CallStream::Push(std::string json) {
  while (!abandoned_ && attached() && Behind()) {
    room_.Clear();
    // The one who writes to the client has its own limit and detaches; this one only guards against
    // a defect.
    SALLYPORT_CO_CHECK(co_await room_.Wait(std::chrono::minutes(10)));
  }
  if (abandoned_ || finished_) co_return Fail(Errc::cancelled);
  Outgoing out;
  out.number = ++count_;
  out.json = std::move(json);
  bytes_ += out.json.size();
  unseen_ += out.json.size();
  items_.push_back(std::move(out));
  if (!attached()) {
    while (items_.size() > 1 &&
           (items_.size() > std::max<size_t>(keep_, kAhead) || bytes_ > kKeptBytes))
      DropOldest();
  }
  more_.Set();
  co_return Result<>{};
}

void CallStream::Finish(Outgoing last) {
  if (finished_) return;
  finished_ = true;
  last.number = ++count_;
  last.last = true;
  bytes_ += last.json.size();
  unseen_ += last.json.size();
  items_.push_back(std::move(last));
  more_.Set();
}

void CallStream::DropOldest() {
  const Outgoing& oldest = items_.front();
  bytes_ -= oldest.json.size();
  if (oldest.number > seen_) unseen_ -= oldest.json.size();
  items_.pop_front();
}

void CallStream::End() {
  finished_ = true;
  more_.Set();
  room_.Set();
}

uint64_t CallStream::Attach(uint64_t seen) {
  seen_ = seen;
  unseen_ = 0;
  for (const Outgoing& item : items_) {
    if (item.number > seen_) unseen_ += item.json.size();
  }
  ticket_ = ++tickets_;
  more_.Set();
  room_.Set();
  return ticket_;
}

Task<std::optional<Outgoing>> CallStream::Next(uint64_t ticket, std::chrono::milliseconds limit) {
  while (true) {
    if (abandoned_ || ticket != ticket_) co_return std::nullopt;
    const auto it =
        std::ranges::find_if(items_, [&](const Outgoing& o) { return o.number > seen_; });
    if (it != items_.end()) {
      room_.Set();
      if (keep_ == 0) {
        while (items_.front().number < it->number) DropOldest();
        std::optional<Outgoing> out(std::move(items_.front()));
        items_.pop_front();
        bytes_ -= out->json.size();
        unseen_ -= out->json.size();
        seen_ = out->number;
        co_return out;
      }
      std::optional<Outgoing> out(*it);
      unseen_ -= it->json.size();
      seen_ = it->number;
      while ((items_.size() > keep_ || bytes_ > kKeptBytes) && items_.front().number <= seen_)
        DropOldest();
      co_return out;
    }
    if (finished_) co_return std::nullopt;
    more_.Clear();
    SALLYPORT_CO_CHECK(co_await more_.Wait(limit));
  }
}

void CallStream::Detach(uint64_t ticket) {
  if (ticket != ticket_) return;
  ticket_ = 0;
  more_.Set();
  room_.Set();
}

void CallStream::Abandon() {
  abandoned_ = true;
  items_.clear();
  bytes_ = unseen_ = 0;
  more_.Set();
  room_.Set();
}

bool CallStream::Has(uint64_t number) const {
  if (number > count_) return false;
  return items_.empty() ? number == count_ : items_.front().number <= number + 1;
}

}  // namespace sallyport::mcp
