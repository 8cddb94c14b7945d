#include "pg/session.h"

namespace sallyport::pg {

namespace {

constexpr std::chrono::hours kPatience{24};  // for a server that does not read

}  // namespace

/// While it reads COPY data the server takes any request for an error and forgets it, so that
/// answers would be taken for those of other requests. What comes behind a COPY FROM STDIN waits
/// until the server has said that it does not read.
Session::Await Session::NotInCopy() {
  if (!co_await WaitWhile([this] { return copy_sent_ && !result_.copy_in; })) co_return false;
  if (!copy_sent_ || !result_.copy_in) co_return true;
  Violation("a request in the middle of COPY data");
  co_return false;
}

/// CopyData of any size passes piece by piece; outside a COPY the server ignores it.
Session::Await Session::StreamCopyData(size_t total) {
  if (!co_await Flush()) co_return false;
  idle_.Clear();
  while (total > 0) {
    const std::string_view piece = client_->data().substr(0, total);
    if (!piece.empty()) {
      if (!co_await server_.stream->Finish(net::Pieces(piece), kPatience)) co_return false;
      figures_->bytes.fetch_add(piece.size(), std::memory_order_relaxed);
      client_->Consume(piece.size());
      total -= piece.size();
      // More of the same in the buffer goes with the next piece.
      while (total == 0) {
        const auto head = PeekHead(client_->data());
        if (!head || head->type != 'd' || head->length < 4 || head->length > kMaxMessage) break;
        total = head->total();
      }
      continue;
    }
    const auto got = co_await client_->More(std::chrono::steady_clock::time_point::max());
    if (got != net::Stream::Got::data || stop_) co_return false;
  }
  co_return true;
}

}  // namespace sallyport::pg
