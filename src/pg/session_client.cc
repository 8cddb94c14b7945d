#include <algorithm>

#include "pg/session.h"
#include "pg/to_wire.h"

namespace sallyport::pg {
namespace {

constexpr size_t kMostPending = 4096;
constexpr size_t kMostCopySyncs = 64;        // nothing answers them before the data has ended
constexpr size_t kSmallMessage = 64 << 10;   // of those that carry names only
constexpr size_t kBatchBytes = 256 << 10;    // put together before it is sent
constexpr std::chrono::hours kPatience{24};  // for a server that does not read

using Kind = Pending::Kind;

/// CopyDone and CopyFail, and the end of everything.
bool EndsCopy(char type) { return type == 'c' || type == 'f' || type == 'X'; }

bool Limited(const std::optional<gate::Permit>& permit, const sql::Analysis& analysis) {
  return permit && permit->obligations().max_rows > 0 &&
         (analysis.returns_rows || analysis.copy_out);
}

}  // namespace

boost::asio::awaitable<void> Session::ClientHalf() {
  for (;;) {
    if (!co_await ServeClientBuffer() || !co_await Flush()) co_return;
    const auto far = std::chrono::steady_clock::time_point::max();
    const auto got = co_await client_->More(far, true);
    if (got != net::Stream::Got::data || stop_) co_return;
  }
}

size_t Session::MostBytes(char type) {
  const FrontendLimits& limits = settings_.Get()->limits;
  switch (type) {
    case 'Q':
      return limits.statement_bytes + FrameHead::kSize + 1;
    case 'P':
      return limits.statement_bytes + (300 << 10);
    case 'B':
      return limits.message_bytes;
    default:
      return kSmallMessage;
  }
}

/// Every message that is whole; false when the session is over.
Session::Await Session::ServeClientBuffer() {
  for (;;) {
    if (stop_) co_return false;
    const auto head = PeekHead(client_->data());
    if (!head) co_return true;
    if (head->length < 4 || head->length > kMaxMessage) {
      Violation("a message of an impossible length");
      co_return false;
    }
    if (head->type == 'd') {
      if (!co_await StreamCopyData(head->total())) co_return false;
      continue;
    }
    const size_t most = MostBytes(head->type);
    if (head->total() > most) {
      if (!co_await DiscardRequest(head->type, head->total())) co_return false;
      continue;
    }
    if (client_->data().size() < head->total()) {
      client_->SetRoom(std::max<size_t>(head->total(), kSmallMessage));
      co_return true;
    }
    if (pending_.size() > kMostPending) {
      // A client that sends and does not read: wait, with the server told to say what it knows.
      if (!co_await WaitWhile([this] { return pending_.size() > kMostPending / 2; }))
        co_return false;
    }
    idle_.Clear();
    const std::string_view message = client_->data().substr(0, head->total());
    if (!BeginWork(head->type, message)) co_return false;
    if (!TakeAtOnce(head->type, message) && !co_await OnRequest(head->type, message))
      co_return false;
    if (held_) {
      const std::string kept(message);
      client_->Consume(head->total());
      if (!co_await HoldRequest(head->type, kept)) co_return false;
    } else {
      client_->Consume(head->total());
    }
    if (to_server_.size() > kBatchBytes && !co_await Flush()) co_return false;
  }
}

/// A request keeps the caller's session from being idle until it is answered; what drivers send to
/// see whether the connection is alive (an empty query, Sync, Flush) does not.
bool Session::BeginWork(char type, std::string_view message) {
  if (working_ || !credential_ || !credential_->live || type == 'S' || type == 'H' || type == 'X')
    return true;
  if (type == 'Q' &&
      message.substr(5).find_first_not_of(std::string_view("; \t\r\n\0", 6)) == message.npos)
    return true;
  auto begun = access::Work::Begin(credential_->live);
  if (!begun) {
    Stop(std::move(begun).error());
    return false;
  }
  at_work_ = std::move(*begun);
  return working_ = true;
}

/// What is skipped; and a Describe, Execute or Sync as they mostly come: there is nothing to wait
/// for, and a coroutine costs more than what it does. False: the long way.
bool Session::TakeAtOnce(char type, std::string_view message) {
  if (skip_ && type != 'S' && !EndsCopy(type)) return true;
  if (copy_sent_ || hold_) return false;
  BodyReader r(message.substr(5));
  if (type == 'S') {
    if (ParsesUncovered() || MayBeCondemned()) return false;
    OnSync(message);
    return true;
  }
  if (type == 'D') {
    const uint8_t what = r.U8();
    const std::string_view name = r.CString();
    const bool doubt = what == 'S' ? StatementInDoubt(name) : what != 'P' || PortalInDoubt(name);
    if (!r.done() || doubt) return false;
    Describe(what, name, message);
    return true;
  }
  if (type == 'E') {
    const std::string_view name = r.CString();
    (void)r.U32();
    if (!r.done() || PortalInDoubt(name)) return false;
    const PortalPtr portal = names_.FindPortal(name);
    if (!portal || portal->unsure || !portal->permit || !portal->analysis->names.empty() ||
        (portal->analysis->transaction_control && limited_))
      return false;
    Execute(portal, std::exchange(portal->permit, std::nullopt), message);
    return true;
  }
  return false;
}

Session::Await Session::OnRequest(char type, std::string_view message) {
  if (hold_ || copy_sent_) return OnBehind(type, message);
  return OnRequestNow(type, message);
}

/// What comes behind something that has to be known to have ended, or failed, first.
Session::Await Session::OnBehind(char type, std::string_view message) {
  if (hold_ && type != 'X' && !co_await HoldBack()) co_return false;
  if (copy_sent_ && type != 'S' && type != 'H' && !EndsCopy(type) && !co_await NotInCopy())
    co_return false;
  co_return co_await OnRequestNow(type, message);
}

Session::Await Session::OnRequestNow(char type, std::string_view message) {
  switch (type) {
    case 'Q':
      return OnQuery(message.substr(5));
    case 'P':
      return OnParse(message);
    case 'B':
      return OnBind(message);
    case 'E':
      return OnExecute(message);
    case 'D':
      return OnDescribe(message);
    case 'C':
      return OnClose(message);
    default:
      return OnOther(type, message);
  }
}

Session::Await Session::OnOther(char type, std::string_view message) {
  switch (type) {
    case 'S':
      if (copy_sent_ && ++copy_syncs_ > kMostCopySyncs) {
        Violation("too many requests in the middle of COPY data");
        co_return false;
      }
      if (ParsesUncovered() && !co_await CoverParses()) co_return false;
      if (MayBeCondemned() && !co_await FailIfCondemned()) co_return false;
      OnSync(message);
      co_return true;
    case 'H':
      if (!co_await CoverParses()) co_return false;
      to_server_.append(message);
      co_return true;
    case 'c':
    case 'f':
      // The text of a CopyFail comes back in an error, which is masked.
      copy_sent_ = false;
      Add({.kind = Kind::copy_end}, message);
      co_return co_await Flush();
    case 'F': {
      const op::Refusal refusal = co_await RecordRefusal(
          "function-call",
          Error(Errc::method_not_allowed, "calling functions without SQL is not supported"));
      RefuseAs(refusal, true);
      co_return true;
    }
    case 'X':
      (void)co_await CoverParses();
      to_server_.append(message);
      terminated_ = true;
      (void)co_await Flush();
      co_return false;
    default:
      Violation("a message of an unknown type");
      co_return false;
  }
}

Session::Await Session::OnQuery(std::string_view body) {
  if (!co_await CoverParses()) co_return false;
  if (MayBeCondemned() && !co_await FailIfCondemned()) co_return false;
  if (skip_) co_return true;
  if (body.empty() || body.find('\0') != body.size() - 1) {
    RefuseAs(co_await RecordRefusal(
                 "query", Error(Errc::request_malformed, "a query with a NUL in it, or no end")),
             true);
    co_return true;
  }
  body.remove_suffix(1);
  auto judged = co_await Judge(body);
  if (!judged) {
    RefuseAs(co_await RecordRefusal("query", judged.error()), true);
    co_return true;
  }
  Pending pending{.kind = Kind::query, .judged = *judged};
  const sql::Analysis& analysis = *(*judged)->analysis;
  if (analysis.copy_in && analysis.statements > 1) {
    RefuseAs(co_await RecordRefusal(
                 "query", Error(Errc::sql_state_refused, "COPY FROM STDIN has to stand alone")),
             true);
    co_return true;
  }
  if (!names_.RoomFor(analysis, body.size(), false)) {
    co_await RefuseName("query", true);
    co_return true;
  }
  if (analysis.statements > 0 || analysis.route == sql::Route::refused) {
    auto permit = co_await Admit("query", **judged, nullptr, nullptr);
    if (!permit) {
      RefuseText(permit.error(), analysis, true);
      co_return true;
    }
    pending.permit.emplace(std::move(*permit));
  }
  Begun(**judged);
  pending.sql_names = !analysis.names.empty();
  pending.limited = Limited(pending.permit, analysis);
  const bool alone = analysis.statements == 1;
  if (pending.limited && analysis.kind != "CALL" &&
      (analysis.text.worst > op::Effect::read ||
       (analysis.transaction_control && (alone || InBlock())))) {
    if (alone) co_return co_await SendAsExtended(std::move(pending), body);
    // A result of too many rows would have to undo what the text has already committed.
    pending.permit.reset();
    RefuseAs(
        co_await RecordRefusal(
            "query", Error(Errc::sql_state_refused,
                           "rows are limited here: send the statements of this text one by one")),
        true);
    co_return true;
  }
  hold_ |= pending.limited && InBlock();
  copy_sent_ = analysis.copy_in;
  copy_syncs_ = 0;
  Add(std::move(pending), {});
  MessageWriter(to_server_)
      .Begin('Q')
      .CString(analysis.route == sql::Route::rewritten ? std::string_view(analysis.sql) : body)
      .End();
  co_return true;
}

Session::Await Session::OnParse(std::string_view message) {
  BodyReader r(message.substr(5));
  const std::string_view name = r.CString(), text = r.CString();
  const uint16_t types = r.U16();
  auto statement = std::make_shared<Statement>();
  for (uint16_t i = 0; i < types; ++i) statement->parameters.push_back(r.U32());
  if (!r.done()) {
    RefuseAs(co_await RecordRefusal("parse", Error(Errc::request_malformed, "a malformed Parse")),
             false);
    co_return true;
  }
  auto judged = co_await Judge(text);
  if (!judged) {
    RefuseAs(co_await RecordRefusal("parse", judged.error()), false);
    co_return true;
  }
  const sql::AnalysisPtr& analysis = (*judged)->analysis;
  if (analysis->route == sql::Route::refused) {
    auto permit = co_await Admit("parse", **judged, nullptr, nullptr);
    op::Refusal refusal;
    if (!permit) refusal = std::move(permit.error());
    RefuseText(refusal, *analysis, false);
    co_return true;
  }
  if (!names_.RoomFor(*analysis, text.size(), true)) {
    co_await RefuseName("parse", false);
    co_return true;
  }
  statement->weight = names_.Weigh(*analysis, text.size());
  statement->name = name;
  statement->judged = *judged;
  statement->analysis = analysis;
  if (analysis->route != sql::Route::rewritten) {
    Add({.kind = Kind::parse, .statement = statement}, message);
  } else {
    Add({.kind = Kind::parse, .statement = statement}, {});
    MessageWriter w(to_server_);
    w.Begin('P').CString(name).CString(analysis->sql).U16(types);
    for (const uint32_t type : statement->parameters) w.U32(type);
    w.End();
  }
  names_.Prepare(std::move(statement));
  co_return true;
}

Session::Await Session::OnDescribe(std::string_view message) {
  BodyReader r(message.substr(5));
  const uint8_t what = r.U8();
  const std::string_view name = r.CString();
  if (!r.done() || (what != 'S' && what != 'P')) {
    RefuseAs(
        co_await RecordRefusal("describe", Error(Errc::request_malformed, "a malformed Describe")),
        false);
    co_return true;
  }
  const bool doubt = what == 'S' ? StatementInDoubt(name) : PortalInDoubt(name);
  if (doubt && !co_await NamesKnown(what == 'P')) co_return false;
  Describe(what, name, message);
  co_return true;
}

void Session::Describe(uint8_t what, std::string_view name, std::string_view message) {
  Pending pending{.kind = what == 'S' ? Kind::describe_statement : Kind::describe_portal};
  if (what == 'S') {
    pending.statement = names_.FindStatement(name);
    if (pending.statement) pending.statement->described_in = group_;
  } else {
    pending.portal = names_.FindPortal(name);
    if (pending.portal) pending.portal->described_in = group_;
  }
  Add(std::move(pending), message);
}

Session::Await Session::OnClose(std::string_view message) {
  BodyReader r(message.substr(5));
  const uint8_t what = r.U8();
  const std::string name(r.CString());
  if (!r.done() || (what != 'S' && what != 'P')) {
    RefuseAs(co_await RecordRefusal("close", Error(Errc::request_malformed, "a malformed Close")),
             false);
    co_return true;
  }
  Add({.kind = what == 'S' ? Kind::close_statement : Kind::close_portal, .name = name}, message);
  if (what == 'S')
    names_.CloseStatement(name);
  else
    names_.ClosePortal(name);
  co_return true;
}

void Session::OnSync(std::string_view message) {
  hold_ |= limited_ && InBlock();
  Add({.kind = Kind::sync}, message);
  skip_ = limited_ = writes_ = false;
  ++group_;
  earlier_statements_ += std::exchange(here_statements_, 0);
  earlier_portals_ += std::exchange(here_portals_, 0);
  names_.EndGroup();
}

/// A result that had too many rows may have been complete before the cancel came. If its group
/// writes, or is about to end a transaction block, that must not commit what the client was told
/// has failed.
Session::Await Session::FailIfCondemned() {
  const auto unanswered = [this] {
    return !result_.copy_in && std::ranges::any_of(pending_, [this](const Pending& p) {
      return p.group == group_ && p.kind == Kind::execute;
    });
  };
  if (!co_await WaitWhile(unanswered)) co_return false;
  if (muted_) Refuse(ToWire(Error(Errc::rows_exceeded)), Errc::rows_exceeded, false);
  co_return true;
}

/// A Query that writes and whose rows are limited: its Sync, which commits, waits for the rows.
Session::Await Session::SendAsExtended(Pending execute, std::string_view text) {
  static constexpr std::string_view kSync("S\0\0\0\4", 5);
  const sql::Analysis& analysis = *execute.judged->analysis;
  auto statement = std::make_shared<Statement>();
  statement->judged = execute.judged;
  statement->analysis = execute.judged->analysis;
  auto portal = std::make_shared<Portal>();
  portal->statement = statement;
  portal->judged = execute.judged;
  portal->analysis = execute.judged->analysis;
  const auto add = [this](Pending pending) -> MessageWriter {
    pending.of_query = true;
    Add(std::move(pending), {});
    return MessageWriter(to_server_);
  };
  add({.kind = Kind::parse, .covered = true, .statement = statement})
      .Begin('P')
      .CString("")
      .CString(analysis.route == sql::Route::rewritten ? std::string_view(analysis.sql) : text)
      .U16(0)
      .End();
  add({.kind = Kind::bind, .portal = portal})
      .Begin('B')
      .CString("")
      .CString("")
      .U16(0)
      .U16(0)
      .U16(0)
      .End();
  add({.kind = Kind::describe_portal, .portal = portal}).Begin('D').U8('P').CString("").End();
  execute.kind = Kind::execute;
  execute.portal = portal;
  add(std::move(execute)).Begin('E').CString("").U32(0).End();
  limited_ = writes_ = true;
  if (!co_await FailIfCondemned()) co_return false;
  OnSync(kSync);
  batch_.back().of_query = true;
  co_return true;
}

/// In a transaction block a result of too many rows fails the transaction, also where the server
/// was done with it: nothing may be sent before the answer that says so.
Session::Await Session::HoldBack() {
  const bool open = !pending_.empty() || !batch_.empty();
  if (open && !co_await WaitWhile([this] { return !result_.copy_in; })) co_return false;
  // The answer is there, and the cancel may still be on its way: it would hit what is sent next.
  while (cancelling_ > 0 && !stop_ && !server_done_.is_set()) {
    waiting_ = true;
    answered_.Clear();
    (void)co_await answered_.Wait(std::chrono::hours(1));
    waiting_ = false;
  }
  if (stop_ || server_done_.is_set()) co_return false;
  hold_ = false;
  co_return true;
}

/// A message that is too large to be judged: read and forgotten, refused where it stood.
Session::Await Session::DiscardRequest(char type, size_t total) {
  while (total > 0) {
    const size_t n = std::min(total, client_->data().size());
    client_->Consume(n);
    total -= n;
    if (total == 0) break;
    const auto got = co_await client_->More(std::chrono::steady_clock::time_point::max());
    if (got != net::Stream::Got::data || stop_) co_return false;
  }
  if (type != 'Q' && type != 'P' && type != 'B') {
    Violation("a message that is too long for its type");
    co_return false;
  }
  if (skip_) co_return true;
  if (type == 'Q' && !co_await CoverParses()) co_return false;
  RefuseAs(co_await RecordRefusal(
               type == 'Q'   ? "query"
               : type == 'P' ? "parse"
                             : "bind",
               Error(Errc::request_too_large, "the statement or its parameters are too large")),
           type == 'Q');
  co_return true;
}

void Session::Count(const Pending& pending) {
  here_statements_ += pending.TouchesStatements();
  here_portals_ += pending.TouchesPortals();
  sql_names_ += pending.sql_names;
  controls_ += pending.ControlsTransaction();
}

void Session::Uncount(const Pending& pending) {
  const bool here = pending.group == group_;
  (here ? here_statements_ : earlier_statements_) -= pending.TouchesStatements();
  (here ? here_portals_ : earlier_portals_) -= pending.TouchesPortals();
  sql_names_ -= pending.sql_names;
  controls_ -= pending.ControlsTransaction();
}

Pending& Session::Add(Pending pending, std::string_view message) {
  group_begun_ =
      pending.kind != Kind::sync && pending.kind != Kind::query && pending.kind != Kind::copy_end;
  pending.group = group_;
  pending.offset = to_server_.size();
  Count(pending);
  to_server_.append(message);
  batch_.push_back(std::move(pending));
  return batch_.back();
}

/// The batch goes to the server. What answers it will get is known before the first byte leaves.
Session::Await Session::Flush() {
  if (to_server_.empty() && batch_.empty()) co_return true;
  if (ParsesUncovered() && !co_await CoverParses()) co_return false;
  for (Pending& pending : batch_) pending_.push_back(std::move(pending));
  batch_.clear();
  uncovered_ = 0;
  DropCopyEnds();  // of a COPY that the server has ended already
  figures_->running.store(!pending_.empty(), std::memory_order_relaxed);
  if (did_ddl_) work_.Set();
  net::Pieces pieces(to_server_);
  const auto sent = server_.stream->Start(pieces);
  bool whole = sent == net::Stream::Sent::all;
  if (sent == net::Stream::Sent::part)
    whole = (co_await server_.stream->Finish(pieces, kPatience)).has_value();
  to_server_.clear();
  co_return whole && !stop_;
}

void Session::Violation(std::string detail) {
  Stop(Error(Errc::request_malformed, std::move(detail)));
}

}  // namespace sallyport::pg
