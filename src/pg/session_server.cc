#include <algorithm>

#include "pg/session.h"
#include "pg/to_wire.h"

namespace sallyport::pg {
namespace {

constexpr size_t kHeldMessage = 256 << 10;  // a longer row or CopyData streams
constexpr size_t kOtherMessage = 4 << 20;   // errors, descriptions
constexpr size_t kRoom = 64 << 10;

using Kind = Pending::Kind;

}  // namespace

boost::asio::awaitable<void> Session::ServeServer() {
  const auto far = std::chrono::steady_clock::time_point::max();
  for (;;) {
    if (!co_await ServeServerBuffer() || stop_) co_return;
    if (did_ddl_ && pending_.empty()) {
      const size_t had = server_.stream->data().size();
      if (!co_await WaitForWork(had)) co_return;
      if (server_.stream->data().size() != had) continue;
    }
    if (co_await server_.stream->More(far, true) != net::Stream::Got::data) co_return;
  }
}

/// Every message that is whole, and what can be released of it.
Session::Await Session::ServeServerBuffer() {
  size_t at = 0;
  run_ = 0;
  for (;;) {
    const std::string_view data = server_.stream->data();
    const auto head = PeekHead(data.substr(at));
    if (!head) break;
    if (head->length < 4 || head->length > kMaxMessage)
      co_return Broken("a message of an impossible length");
    if (head->type == 'D') {
      uint64_t rows = 0;
      if (const size_t size = WholeRows(at, rows); size > 0) {
        if (!OnRows(at, size, rows)) co_return false;
        at += size;
        continue;
      }
    }
    if (data.size() - at < head->total()) {
      const bool row = head->type == 'D' || head->type == 'd';
      if (row && head->total() > kHeldMessage) {
        if (!co_await StreamLong(at, head->total())) co_return false;
        at = run_ = 0;
        continue;
      }
      if (!row && head->total() > kOtherMessage) co_return Broken("a message that is too long");
      server_.stream->SetRoom(std::max(kRoom, head->total()));
      break;
    }
    const std::string_view message = data.substr(at, head->total());
    const std::optional<bool> taken = TakeAnswer(head->type, message, at);
    if (!(taken ? *taken : co_await OnAnswer(head->type, message, at))) co_return false;
    at += head->total();
  }
  co_return co_await Release(at);
}

/// Writes what was put together, and the run of the read buffer behind it.
Session::Await Session::Release(size_t at) {
  const std::string_view run = server_.stream->data().substr(run_, at - run_);
  if (!to_client_.empty() || !run.empty()) {
    figures_->bytes.fetch_add(to_client_.size() + run.size(), std::memory_order_relaxed);
    if (client_busy_ && !co_await ClientFree()) co_return false;
    net::Pieces pieces(to_client_, run);
    const auto sent = client_->Start(pieces);
    bool whole = sent == net::Stream::Sent::all;
    if (sent == net::Stream::Sent::part) {
      client_busy_ = true;
      const auto limit = settings_.Get()->limits.session_idle;
      whole = (co_await client_->Finish(pieces, limit)).has_value();
      client_busy_ = false;
      client_free_.Set();
    }
    to_client_.clear();
    if (to_client_.capacity() > (1 << 20)) to_client_.shrink_to_fit();
    if (!whole && !terminated_) {
      client_->Close();
      co_return false;
    }
  }
  server_.stream->Consume(at);
  run_ = 0;
  co_return true;
}

bool Session::Broken(std::string detail) {
  if (!stop_) stop_ = Error(Errc::upstream_protocol, "the database server sent " + detail);
  return false;
}

/// Whether the session goes on, for what has not to be waited for; nullopt: OnAnswer is next.
std::optional<bool> Session::TakeAnswer(char type, std::string_view message, size_t at) {
  // What may come at any time.
  switch (type) {
    case 'N':
      OnNotice(message, at);
      return true;
    case 'A':
      OnNotification(message, at);
      return true;
    case 'S':
      return OnParameterStatus(message, at);
    case 'E':
      return std::nullopt;
    default:
      break;
  }
  DropCopyEnds();
  if (pending_.empty()) return Broken("an answer that nobody asked for");
  if (muted_ && type != 'Z' && !pending_.front().swallow) Replace(at, message.size());
  const Kind kind = pending_.front().kind;
  switch (type) {
    case '1':
      if (kind != Kind::parse) break;
      if (pending_.front().permit) return std::nullopt;
      if (pending_.front().of_query) Replace(at, message.size());
      return OnParseComplete();
    case '2':
      if (kind != Kind::bind || pending_.front().refused) break;
      if (pending_.front().of_query) Replace(at, message.size());
      names_.Bound(pending_.front().portal);
      Pop();
      return true;
    case '3':
      if (kind == Kind::close_statement)
        names_.ClosedStatement(pending_.front().name);
      else if (kind == Kind::close_portal)
        names_.ClosedPortal(pending_.front().name);
      else
        break;
      if (pending_.front().swallow) Replace(at, message.size());
      Pop();
      return true;
    case 't': {
      if (kind != Kind::describe_statement) break;
      BodyReader r(message.substr(5));
      std::vector<uint32_t> types;
      for (uint16_t n = r.U16(); n > 0 && !r.failed(); --n) types.push_back(r.U32());
      if (pending_.front().statement) pending_.front().statement->parameters = std::move(types);
      return true;
    }
    case 'T':
      return OnDescription(message, at);
    case 'n':
      return OnNoData(at, message.size());
    case 'C':
    case 'I':
    case 's':
      return std::nullopt;
    case 'G':
    case 'H':
      return OnCopyStart(type, message, at);
    case 'd':
      return OnCopyRow(message, at);
    case 'c':
      if (!result_.copy_out) break;
      return true;
    case 'Z':
      return TakeReady(message);
    default:
      break;
  }
  return Broken("a message out of place");
}

/// What something has to be recorded for, or waited for, before it is released.
Session::Await Session::OnAnswer(char type, std::string_view message, size_t at) {
  switch (type) {
    case 'E':
      return OnError(message, at);
    case '1':
      return OnParseRecorded();
    case 'Z':
      return OnReady(message, at);
    default:
      return OnComplete(type, message, at);
  }
}

void Session::Pop() {
  Uncount(pending_.front());
  const Judged* judged = pending_.front().judged.get();
  if (judged != nullptr && judged->analysis->copy_in) copy_sent_ = false;
  pending_.pop_front();
  if (waiting_) answered_.Set();
}

/// The end of a COPY FROM STDIN has no answer of its own: that of the COPY is one.
void Session::DropCopyEnds() {
  while (!pending_.empty() && pending_.front().kind == Kind::copy_end) Pop();
}

Session::Await Session::OnParseRecorded() {
  if (!co_await Settle(pending_.front(), true, "", "PARSE")) co_return false;
  co_return OnParseComplete();
}

bool Session::OnParseComplete() {
  Pending& parse = pending_.front();
  if (parse.refused) return Broken("success for what cannot be read");
  names_.Prepared(parse.statement);
  Pop();
  return true;
}

bool Session::OnDescription(std::string_view message, size_t at) {
  Pending& front = pending_.front();
  const std::string_view body = message.substr(5);
  // The same columns as last time: nothing to read.
  ShapePtr shape;
  Judged* judged = front.judged.get();
  if (judged == nullptr && front.portal) judged = front.portal->judged.get();
  if (judged == nullptr && front.statement) judged = front.statement->judged.get();
  if (judged != nullptr && judged->shape && judged->shape->raw == body) {
    shape = judged->shape;
  } else {
    auto read = Shape::Read(body);
    if (!read) return Broken("a malformed description of rows");
    shape = std::move(*read);
  }
  MaskColumnNames(*shape, message, at);
  switch (front.kind) {
    case Kind::describe_statement:
      if (front.statement) front.statement->shape = std::move(shape);
      Pop();
      return true;
    case Kind::describe_portal: {
      if (front.portal) front.portal->shape = std::move(shape);
      const bool swallow = front.swallow;
      Pop();
      if (swallow) Replace(at, message.size());
      return true;
    }
    case Kind::query:
      if (!front.judged) return Broken("rows for what was refused");
      if (!UseShape(front, std::move(shape))) Replace(at, message.size());
      return true;
    default:
      return Broken("a description that nobody asked for");
  }
}

bool Session::OnNoData(size_t at, size_t size) {
  Pending& front = pending_.front();
  static const ShapePtr kNothing = std::make_shared<const Shape>();
  bool swallow = false;
  if (front.kind == Kind::describe_statement) {
    if (front.statement) front.statement->shape = kNothing;
  } else if (front.kind == Kind::describe_portal) {
    if (front.portal) front.portal->shape = kNothing;
    swallow = front.swallow || front.of_query;
  } else {
    return Broken("a description that nobody asked for");
  }
  Pop();
  if (swallow) Replace(at, size);
  return true;
}

/// CommandComplete, EmptyQueryResponse, PortalSuspended: recorded before they are released.
Session::Await Session::OnComplete(char type, std::string_view message, size_t at) {
  Pending& front = pending_.front();
  if ((front.kind != Kind::query && front.kind != Kind::execute) || front.refused)
    co_return Broken("the end of what was not begun");
  std::string_view tag = type == 'C' ? message.substr(5, message.size() - 6) : std::string_view();
  if (type == 's') tag = "SUSPENDED";
  const sql::Analysis* analysis = front.judged ? front.judged->analysis.get() : nullptr;
  const bool last = front.kind == Kind::execute || analysis == nullptr ||
                    ++result_.completed >= std::max<size_t>(analysis->statements, 1);
  if (last) CountReleased(front);
  if (analysis != nullptr && type == 'C' && last) {
    if (!analysis->names.empty()) names_.Apply(front.judged);
    if (analysis->changes_catalog) ddl_transaction_ = did_ddl_ = true;
    if (analysis->classified) classified_transaction_ = true;
  }
  if (!result_.tally.empty() && !co_await MapFound()) co_return false;
  if (result_.condemned) {
    // The server finished before the cancel reached it.
    undone_ = true;
    const Error why = *result_.condemned;
    if (front.permit && !co_await Settle(front, false, SqlState(why.code), why.detail))
      co_return false;
    if (!muted_) {
      Replace(at, message.size());
      AppendError(to_client_, ToWire(why));
      muted_ = true;
    }
  } else if (last && front.permit) {
    if (!co_await Settle(front, true, "", tag)) co_return false;
  }
  if (type == 'C' && !muted_ && front.judged && front.judged->own) {
    Replace(at, message.size());
    MessageWriter(to_client_).Begin('C').CString(front.judged->own->tag()).End();
  }
  if (front.kind == Kind::execute) {
    Pop();
    if (result_.copy_in) DropCopySyncs();
    result_.Reset();
  } else {
    result_.shape.reset(), result_.mask.reset();
    result_.copy_out = result_.copy_in = false;
  }
  co_return true;
}

/// ReadyForQuery of requests that are answered and recorded.
std::optional<bool> Session::TakeReady(std::string_view message) {
  const Pending& front = pending_.front();
  const bool ends = front.kind == Kind::sync || front.kind == Kind::query;
  if (message.size() != 6 || !ends || skipping_ || front.permit || cancelling_ > 0 || undone_)
    return std::nullopt;
  if (front.kind == Kind::query || front.of_query) names_.SimpleQuery();
  Pop();
  muted_ = false;
  result_.Reset();
  BecomeReady(message[5]);
  return true;
}

/// The client was told that a statement of a transaction block has failed, and the server was done
/// with it before it could be cancelled: something has to fail there too, or a COMMIT would keep
/// what an error has to undo. The client half holds back until this is answered.
bool Session::FailTransaction(size_t at, size_t size) {
  result_.Reset();
  if (!pending_.empty() || !batch_.empty()) return Broken("an answer before its time");
  Pending pending{.kind = Kind::query, .refused = true, .group = group_};
  Count(pending);
  pending_.push_back(std::move(pending));
  std::string query;
  MessageWriter(query)
      .Begin('Q')
      .CString("sallyport fails the transaction of a statement with too many rows")
      .End();
  net::Pieces pieces(query);
  if (server_.stream->Start(pieces) != net::Stream::Sent::all)
    return Broken("nothing, and reads nothing");
  Replace(at, size);
  return true;
}

Session::Await Session::OnReady(std::string_view message, size_t at) {
  if (message.size() != 6) co_return Broken("a malformed ReadyForQuery");
  // What a failure made the server skip, up to the Sync that ends it.
  for (;;) {
    if (pending_.empty()) co_return Broken("an answer that nobody asked for");
    Pending& front = pending_.front();
    const bool ends = front.kind == Kind::sync || (front.kind == Kind::query && !skipping_);
    const bool skipped = skipping_ || front.kind == Kind::copy_end;
    if (!ends && !skipped) co_return Broken("ReadyForQuery before its time");
    if (front.permit) {
      const bool simple = front.kind == Kind::query && ends;
      if (!co_await Settle(front, simple, simple ? "" : "skipped", "")) co_return false;
    }
    if ((front.kind == Kind::query && ends) || (front.kind == Kind::sync && front.of_query))
      names_.SimpleQuery();
    Pop();
    if (ends) break;
  }
  if (std::exchange(undone_, false) && message[5] == 'T') {
    co_return FailTransaction(at, message.size());
  }
  skipping_ = muted_ = false;
  result_.Reset();
  // A cancel on its way may not hit what comes next. It has a time limit of its own.
  while (cancelling_ > 0 && !stop_) {
    cancelled_.Clear();
    (void)co_await cancelled_.Wait(std::chrono::hours(1));
  }
  BecomeReady(message[5]);
  co_return true;
}

void Session::BecomeReady(char status) {
  DropCopyEnds();
  status_ = status;
  figures_->state.store(status_, std::memory_order_relaxed);
  if (status_ == 'I') {
    names_.TransactionEnded();
    classified_transaction_ = false;
    own_catalog_ = nullptr;
    if (std::exchange(ddl_transaction_, false)) {
      catalog_old_ = true;
      catalog_since_ = place_.catalog.version();
    }
  }
  if (pending_.empty()) {
    figures_->running.store(false, std::memory_order_relaxed);
    at_work_ = {};
    working_ = false;
    idle_.SetAfter(settings_.Get()->limits.session_idle);
    if (draining_ && status_ == 'I') stop_ = Error(Errc::draining, "the gateway is shutting down");
  }
}

}  // namespace sallyport::pg
