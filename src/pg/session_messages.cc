#include <algorithm>
#include <cctype>

#include "pg/relay_errors.h"
#include "pg/session.h"
#include "pg/to_wire.h"

namespace sallyport::pg {
namespace {

using Kind = Pending::Kind;

bool SameNoCase(std::string_view a, std::string_view b) {
  return std::ranges::equal(
      a, b, [](unsigned char x, unsigned char y) { return std::tolower(x) == std::tolower(y); });
}

}  // namespace

Session::Await Session::OnError(std::string_view message, size_t at) {
  DropCopyEnds();
  Pending* front = pending_.empty() ? nullptr : &pending_.front();
  const auto settings = front_.settings();
  const bool moved =
      front != nullptr && front->judged && front->judged->analysis->route == sql::Route::rewritten;
  auto error = FilterError('E', message.substr(5), *settings->masker, Classified(), moved);
  if (!error) co_return Broken("a malformed error");
  if (error->fatal) {
    fatal_seen_ = true;
    for (size_t i = 0; i < pending_.size(); ++i) {
      Pending& pending = pending_[i];
      if (pending.permit && !co_await Settle(pending, false, error->sqlstate, error->text))
        co_return false;
    }
    Replace(at, message.size());
    to_client_.append(error->message);
    co_return true;
  }
  if (front == nullptr) co_return Broken("an error that nobody asked for");
  if (!result_.tally.empty() && !co_await MapFound()) co_return false;
  const bool simple = front->kind == Kind::query;
  std::string shown = std::move(error->message);
  if (front->refused) {
    if (!front->denial.empty()) shown = std::move(front->denial);
  } else if (result_.condemned) {
    error->sqlstate = SqlState(result_.condemned->code);
    error->text = result_.condemned->detail;
    shown.clear();
    AppendError(shown, ToWire(*result_.condemned));
  }
  CountReleased(*front);
  if (simple && front->judged && front->judged->analysis->statements > 1 &&
      !front->judged->analysis->names.empty())
    names_.Doubt(front->judged);
  // The first intent of the group that is still open is the one that failed.
  for (size_t i = 0; i < pending_.size(); ++i) {
    Pending& pending = pending_[i];
    if (pending.kind == Kind::sync) break;
    if (!pending.permit && !(pending.portal && pending.portal->permit)) continue;
    if (!pending.permit)
      pending.permit.emplace(std::move(*pending.portal->permit)), pending.portal->permit.reset();
    if (!co_await Settle(pending, false, error->sqlstate, error->text)) co_return false;
    break;
  }
  Replace(at, message.size());
  if (!muted_) to_client_.append(shown);
  if (simple) {
    result_.shape.reset(), result_.mask.reset();
  } else {
    skipping_ = true;
    if (result_.copy_in) DropCopySyncs();
    if (waiting_) answered_.Set();
  }
  co_return true;
}

/// While it reads COPY data the server ignores a Sync: those that were sent right behind the
/// Execute get no ReadyForQuery, the one behind CopyDone or CopyFail does.
void Session::DropCopySyncs() {
  result_.copy_in = false;
  size_t i = !pending_.empty() && pending_.front().kind == Kind::execute ? 1 : 0;
  for (; i < pending_.size() && pending_[i].kind == Kind::sync; ++i)
    pending_[i].kind = Kind::copy_end;
}

bool Session::OnParameterStatus(std::string_view message, size_t at) {
  BodyReader r(message.substr(5));
  const std::string_view name = r.CString(), value = r.CString();
  if (!r.done()) return Broken("a malformed ParameterStatus");
  const std::string* before = server_.Parameter(name);
  const bool changed = before == nullptr || *before != value;
  // Another role sees other columns: where none is classified, that is between it and the server.
  const auto catalog = place_.catalog.last();
  const bool masks = !catalog || catalog->classifies_anything();
  const bool bad =
      (name == "standard_conforming_strings" && value != "on") ||
      (name == "client_encoding" && !SameNoCase(value, "UTF8")) ||
      (masks && (name == "session_authorization" || name == "is_superuser") && changed);
  if (bad) {
    stop_ = Error(Errc::sql_state_refused, std::string(name) +
                                               " was changed, so that later statements would mean "
                                               "something else");
    return false;
  }
  std::string masked;
  mask::Tally tally;
  const auto settings = front_.settings();
  if (name == "application_name") trace_ = TraceOfName(value, *settings->masker);
  if (settings->masker->MaskText(value, {}, masked, tally)) {
    const std::string kept(name);
    Replace(at, message.size());
    MessageWriter(to_client_).Begin('S').CString(kept).CString(masked).End();
  }
  return true;
}

void Session::OnNotice(std::string_view message, size_t at) {
  const auto settings = front_.settings();
  auto notice = FilterError('N', message.substr(5), *settings->masker, Classified(), false);
  Replace(at, message.size());
  if (notice) to_client_.append(notice->message);
}

void Session::OnNotification(std::string_view message, size_t at) {
  const auto settings = front_.settings();
  BodyReader r(message.substr(5));
  const uint32_t pid = r.U32();
  const std::string_view channel = r.CString(), payload = r.CString();
  std::string masked[2];
  mask::Tally tally;
  const bool a = settings->masker->MaskText(channel, {}, masked[0], tally);
  const bool b = settings->masker->MaskText(payload, {}, masked[1], tally);
  if (!a && !b && r.done()) return;
  const std::string kept[2] = {std::string(channel), std::string(payload)};
  Replace(at, message.size());
  if (!r.done()) return;
  MessageWriter(to_client_)
      .Begin('A')
      .U32(pid)
      .CString(a ? masked[0] : kept[0])
      .CString(b ? masked[1] : kept[1])
      .End();
}

/// The last thing a client hears.
boost::asio::awaitable<void> Session::Farewell() {
  if (stop_ && !pending_.empty()) StartCancel();
  if (client_gone_ || terminated_ || inside_message_ || client_busy_) co_return;
  if (!stop_ && fatal_seen_) {
    co_await client_->Linger(std::chrono::milliseconds(500));
    co_return;
  }
  if (!stop_ && client_->ended()) {
    ClientGone();
    co_return;
  }
  const Error why =
      stop_.value_or(Error(Errc::upstream_closed, "the database server closed the connection"));
  op::Evidence evidence;
  evidence.type = op::EventType::request_refused;
  evidence.session = who_->entry;
  evidence.connection = place_.config.name;
  evidence.method = "session";
  evidence.reason = why.code;
  evidence.ok = false;
  (void)front_.options.gate.Record(std::move(evidence));
  to_client_.clear();
  WireError wire = ToWire(why, "FATAL");
  if (why.code == Errc::upstream_closed) wire.code = "08006";
  AppendError(to_client_, wire);
  net::Pieces pieces(to_client_);
  if (client_->Start(pieces) == net::Stream::Sent::part)
    (void)co_await client_->Finish(pieces, std::chrono::milliseconds(300));
  if (!client_->closed()) co_await client_->Linger(std::chrono::milliseconds(500));
}

}  // namespace sallyport::pg
