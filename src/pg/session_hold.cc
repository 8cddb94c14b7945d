#include "approval/desk.h"
#include "pg/session.h"
#include "policy/rules.h"

namespace sallyport::pg {
namespace {

using Kind = Pending::Kind;

/// Between signs of life: well below the idle limits of load balancers and NAT tables.
constexpr std::chrono::seconds kSignOfLife{20};

WireError WaitingNotice(const op::Refusal& refusal) {
  WireError notice;
  notice.severity = "NOTICE";
  notice.code = "00000";
  notice.message = "this statement waits for an approval";
  if (!refusal.decision.approval.empty()) notice.message += " by " + refusal.decision.approval;
  if (!refusal.approval_url.empty()) notice.message += ": " + refusal.approval_url;
  notice.detail = "approval: " + refusal.approval_id + "; decision: " + refusal.decision_id;
  if (!refusal.decision.rules.empty()) notice.detail += "; rule: " + refusal.decision.rules.front();
  notice.hint = refusal.decision.message.empty()
                    ? "It runs as soon as it is approved; cancel it to take the request back."
                    : refusal.decision.message;
  return notice;
}

}  // namespace

/// Waits until the server half writes nothing, and no message of its own is half written.
Session::Await Session::ClientFree() {
  while (client_busy_) {
    client_free_.Clear();
    (void)co_await client_free_.Wait(std::chrono::hours(24));
  }
  co_return !client_->closed();
}

/// A message of ours between those of the server.
Session::Await Session::Say(std::string message) {
  while (client_busy_ || inside_message_) {
    client_free_.Clear();
    (void)co_await client_free_.Wait(std::chrono::hours(24));
    if (stop_ || server_done_.is_set()) co_return false;
  }
  if (client_->closed()) co_return false;
  net::Pieces pieces(message);
  const auto sent = client_->Start(pieces);
  bool whole = sent == net::Stream::Sent::all;
  if (sent == net::Stream::Sent::part) {
    client_busy_ = true;
    whole = (co_await client_->Finish(pieces, front_.settings()->limits.session_idle)).has_value();
    client_busy_ = false;
    client_free_.Set();
  }
  co_return whole && !stop_;
}

/// What was asked before the held statement goes on; what belongs to the same group of messages
/// stays here, so that no transaction waits with its locks at the server.
Session::Await Session::SendEarlier() {
  size_t keep = batch_.size();
  while (keep > 0 && batch_[keep - 1].group == group_ && batch_[keep - 1].kind != Kind::query &&
         batch_[keep - 1].kind != Kind::sync && batch_[keep - 1].kind != Kind::copy_end)
    --keep;
  if (keep == 0) co_return true;
  std::vector<Pending> later;
  std::string bytes;
  if (keep < batch_.size()) {
    const size_t cut = batch_[keep].offset;
    bytes = to_server_.substr(cut);
    to_server_.resize(cut);
    for (size_t i = keep; i < batch_.size(); ++i) {
      batch_[i].offset -= cut;
      later.push_back(std::move(batch_[i]));
    }
    batch_.resize(keep);
  }
  const size_t covered = uncovered_ > keep ? uncovered_ - keep : 0;
  const bool sent = co_await Flush();
  batch_ = std::move(later);
  to_server_ = std::move(bytes);
  uncovered_ = covered;
  co_return sent;
}

Session::Await Session::HoldRequest(char type, std::string_view message) {
  std::string last;  // the request that the present one is about
  while (held_) {
    const op::Refusal refusal = std::move(*held_);
    held_.reset();
    WireError error;
    Errc reason = Errc::internal;
    bool again = false;
    if (refusal.approval_id.empty() || refusal.approval_id == last) {
      // Approved, and still not let through: nothing that another wait could change.
      error = ToWire(refusal), reason = refusal.error.code;
    } else if (!co_await WaitForApproval(refusal, again, error, reason)) {
      co_return false;
    }
    last = refusal.approval_id;
    if (!again) {
      Refuse(error, reason, type == 'Q',
             held_back_ > 0 ? std::optional(batch_.size() - held_back_) : std::nullopt);
      co_return true;
    }
    if (!co_await OnRequest(type, message)) co_return false;
  }
  co_return true;
}

/// False: the session is over. Else `again` says that the statement is to be judged again; if not,
/// it is refused with `error`.
Session::Await Session::WaitForApproval(const op::Refusal& refusal, bool& again, WireError& error,
                                        Errc& reason) {
  approval::Desk& desk = *front_.options.gate.desk();
  if (!co_await SendEarlier()) co_return false;
  bool gone = false;
  hold_cancelled_ = false;
  approval::Vigil vigil(executor_, desk, refusal.approval_id);
  vigil_ = &vigil;
  figures_->running.store(true, std::memory_order_relaxed);
  client_->OnEnd([&gone, &vigil] {
    gone = true;
    vigil.Wake();
  });
  client_->Watch();
  std::string notice;
  AppendError(notice, WaitingNotice(refusal), 'N');
  bool alive = !client_->ended() && co_await Say(std::move(notice));
  while (alive && !gone && !stop_ && !hold_cancelled_ && !server_done_.is_set() &&
         !vigil.outcome()) {
    const auto before = std::chrono::steady_clock::now();
    co_await vigil.Rest(kSignOfLife);
    if (gone || stop_ || vigil.outcome() || hold_cancelled_) break;
    if (std::chrono::steady_clock::now() - before < kSignOfLife) continue;
    // Every client takes a ParameterStatus at any time and shows it to nobody.
    std::string sign;
    const std::string* version = server_.Parameter("server_version");
    MessageWriter(sign).Begin('S').CString("server_version").CString(version ? *version : "").End();
    alive = co_await Say(std::move(sign));
  }
  vigil_ = nullptr;
  client_->OnEnd({});
  if (stop_ || server_done_.is_set()) co_return false;  // the request stays for the next attempt
  const auto outcome = vigil.outcome();
  if (!outcome && hold_cancelled_) {
    (void)desk.Withdraw(refusal.approval_id, who_->who, "the statement was cancelled");
    reason = Errc::cancelled;
    error = ToWire(Error(Errc::cancelled, "canceling statement due to user request"));
    error.detail += "; decision: " + refusal.decision_id + "; approval: " + refusal.approval_id;
    co_return true;
  }
  if (gone || !alive) {
    (void)desk.Withdraw(refusal.approval_id, who_->who, "the client has gone");
    co_return false;
  }
  if (outcome->has_value() &&
      (**outcome == approval::State::approved || **outcome == approval::State::redeemed)) {
    again = true;  // approved: this redeems; redeemed by another session: asks again
    co_return true;
  }
  op::Refusal answer = refusal;
  answer.error = outcome->has_value() ? desk.Refuse(refusal.approval_id) : outcome->error();
  if (outcome->has_value() && **outcome == approval::State::withdrawn) {
    // Rules that have changed are asked again; whoever took it back does not want it.
    const auto request = desk.Find(refusal.approval_id);
    if (request && request->policy_version != front_.options.gate.rules()->version()) {
      again = true;
      co_return true;
    }
  }
  answer.decision.why.clear();
  answer.decision.message.clear();
  reason = answer.error.code;
  error = ToWire(answer);
  co_return true;
}

}  // namespace sallyport::pg
