#include "mcp/call_stream.h"

#include <algorithm>

namespace sallyport::mcp {

Task<> CallStream::Push(std::string json) {
  while (!abandoned_ && attached() && count_ - seen_ >= kAhead) {
    room_.Clear();
    // The one who writes to the client has its own limit and detaches; this one only guards against
    // a defect.
    SALLYPORT_CO_CHECK(co_await room_.Wait(std::chrono::minutes(10)));
  }
  if (abandoned_ || finished_) co_return Fail(Errc::cancelled);
  Outgoing out;
  out.number = ++count_;
  out.json = std::move(json);
  items_.push_back(std::move(out));
  if (!attached()) {
    while (items_.size() > std::max<size_t>(keep_, kAhead)) items_.pop_front();
  }
  more_.Set();
  co_return Result<>{};
}

void CallStream::Finish(Outgoing last) {
  if (finished_) return;
  finished_ = true;
  last.number = ++count_;
  last.last = true;
  items_.push_back(std::move(last));
  more_.Set();
}

void CallStream::End() {
  finished_ = true;
  more_.Set();
  room_.Set();
}

uint64_t CallStream::Attach(uint64_t seen) {
  seen_ = seen;
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
      seen_ = it->number;
      room_.Set();
      if (keep_ == 0) {
        std::optional<Outgoing> out(std::move(*it));
        items_.erase(items_.begin(), it + 1);
        co_return out;
      }
      std::optional<Outgoing> out(*it);
      while (items_.size() > keep_ && items_.front().number <= seen_) items_.pop_front();
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
  more_.Set();
  room_.Set();
}

bool CallStream::Has(uint64_t number) const {
  if (number > count_) return false;
  return items_.empty() ? number == count_ : items_.front().number <= number + 1;
}

}  // namespace sallyport::mcp
