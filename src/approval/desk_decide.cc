#include <boost/asio/this_coro.hpp>

#include "approval/binding.h"
#include "approval/desk_impl.h"
#include "approval/store.h"

namespace sallyport::approval {
namespace {

constexpr size_t kMaxReason = 4000;  // bytes

/// Why a request in this state can be used no more, or not yet.
Error WhyNot(State state) {
  switch (state) {
    case State::pending:
      return Error(Errc::approval_required, "nobody has decided yet");
    case State::approved:
      return Error(Errc::approval_closed, "it is being used by another call");
    case State::denied:
      return Error(Errc::approval_denied, "an approver said no");
    case State::expired:
      return Error(Errc::approval_expired, "nobody approved it, or used it, in time");
    case State::withdrawn:
      return Error(Errc::approval_closed, "the request was withdrawn");
    case State::redeemed:
      return Error(Errc::approval_closed, "the approval was used already");
  }
  return Error(Errc::approval_closed);
}

}  // namespace

Result<> Desk::Impl::CheckVote(const Request& request, const Ballot& ballot) {
  if (request.state == State::expired || request.expires <= wall.Now())
    return Fail(Errc::approval_expired, "the time for this decision is over");
  if (request.state != State::pending && !(request.state == State::approved && !ballot.approve))
    return Fail(Errc::approval_closed,
                "the request is " + std::string(StateName(request.state)) + " already");
  if (ballot.digest != request.digest)
    return Fail(Errc::approval_mismatch, "the decision is about another digest than the request's");
  std::optional<Objection> objection;
  {
    const Known known = sightings.Of(ballot.voter);
    const std::lock_guard lock(mutex);
    objection = MayNotDecide(request, ballot.voter, options.persons, known);
  }
  if (objection) {
    return Fail(Errc::approver_ineligible,
                std::string(ObjectionName(*objection)) + ": " + std::string(Explain(*objection)));
  }
  if (request.reason_required && ballot.reason.find_first_not_of(" \t\r\n") == std::string::npos)
    return Fail(Errc::request_malformed, "a reason is required");
  if (ballot.reason.size() > kMaxReason)
    return Fail(Errc::request_too_large, "the reason is longer than 4000 bytes");
  return {};
}

void Desk::Impl::RefuseVote(const Request& request, const Ballot& ballot, const Error& why) {
  op::ApprovalEvidence approval;
  approval.by = &ballot.voter;
  approval.vote = ballot.approve ? "approve" : "deny";
  op::Evidence e = Describe(op::EventType::approval_decided, request, approval);
  e.ok = false;
  e.reason = why.code;
  e.detail = why.detail;
  (void)recorder.now(e);
}

Task<Request> Desk::Decide(std::string id, Ballot ballot) {
  const std::shared_ptr<Impl> impl = impl_;
  SALLYPORT_CO_TRY(const Impl::Turn turn, co_await impl->TakeTurn(std::move(id)));
  const Request& r = turn.item().request;  // changes only in our turn
  Saw(ballot.voter);
  if (const Result<> good = impl->CheckVote(r, ballot); !good) {
    impl->RefuseVote(r, ballot, good.error());
    co_return std::unexpected(good.error());
  }
  const op::Payload reason =
      ballot.reason.empty() ? op::Payload{} : impl->options.mask(ballot.reason, false);
  size_t approvals = ballot.approve ? 1 : 0;
  for (const Vote& vote : r.votes) approvals += vote.approve ? 1 : 0;
  const State from = r.state;
  const State to = !ballot.approve       ? State::denied
                   : approvals >= r.need ? State::approved
                                         : State::pending;
  Vote vote{.voter = ballot.voter,
            .approve = ballot.approve,
            .reason = reason.text.get(),
            .at = impl->wall.Now(),
            .assertion = ballot.assertion};

  op::ApprovalEvidence approval;
  approval.by = &vote.voter;
  approval.vote = ballot.approve ? "approve" : "deny";
  approval.reason = reason.text;
  approval.assertion = ballot.assertion;
  approval.state = StateName(to);
  SALLYPORT_CO_TRY(vote.entry, co_await impl->recorder.strict(
                                   Describe(op::EventType::approval_decided, r, approval)));
  const Result<> stored =
      co_await impl->state.Commit([id = r.id, vote, from, to](state::Database& db) -> Result<> {
        SALLYPORT_CHECK(store::AddVote(db, id, vote));
        return from == to ? Result<>{} : store::Move(db, id, from, to, vote.at, "");
      });
  if (!stored) {
    impl->RefuseVote(r, ballot, stored.error());
    co_return std::unexpected(stored.error());
  }
  Request copy;
  {
    const std::lock_guard lock(impl->mutex);
    turn.item().request.votes.push_back(std::move(vote));
    if (to == State::denied) {
      impl->Close(turn.ptr(), to, impl->wall.Now(), "");
    } else {
      turn.item().request.state = to;
      turn.item().waiters.WakeAll();
    }
    copy = r;
  }
  impl->Tell(copy);
  co_return copy;
}

Task<> Desk::Redeem(std::string id, std::string digest, uint64_t session) {
  const std::shared_ptr<Impl> impl = impl_;
  Impl::ItemPtr item;
  {
    const std::lock_guard lock(impl->mutex);
    if (impl->broken) co_return std::unexpected(*impl->broken);
    const auto at = impl->by_id.find(id);
    if (at == impl->by_id.end()) co_return Fail(Errc::not_found, "no such request for approval");
    item = at->second;
    const Request& r = item->request;
    if (r.open() && r.expires <= impl->wall.Now())
      co_return std::unexpected(WhyNot(State::expired));
    if (r.state != State::approved || item->busy) co_return std::unexpected(WhyNot(r.state));
    if (r.digest != digest || DigestOf(r) != digest)
      co_return Fail(Errc::approval_mismatch, "the approval is for something else");
    item->busy = true;
  }
  const Impl::Turn turn(impl, item);
  const Request& r = item->request;
  op::ApprovalEvidence approval;
  approval.state = StateName(State::redeemed);
  op::Evidence e = Describe(op::EventType::approval_redeemed, r, approval);
  e.session = session;
  SALLYPORT_CO_CHECK(co_await impl->recorder.strict(e));
  const Nanos now = impl->wall.Now();
  const Result<> stored = co_await impl->state.Commit([id, now](state::Database& db) {
    return store::Move(db, id, State::approved, State::redeemed, now, "");
  });
  if (!stored) {
    approval.state = StateName(r.state);
    e.ok = false;
    e.reason = stored.error().code;
    (void)impl->recorder.now(e);
    co_return stored;
  }
  Request copy;
  {
    const std::lock_guard lock(impl->mutex);
    impl->Close(item, State::redeemed, now, "");
    copy = r;
  }
  impl->Tell(copy);
  co_return Result<>{};
}

Task<> Desk::Viewed(std::string id, op::Principal who) {
  const std::shared_ptr<Impl> impl = impl_;
  Request copy;
  {
    const std::lock_guard lock(impl->mutex);
    const auto at = impl->by_id.find(id);
    if (at == impl->by_id.end()) co_return Fail(Errc::not_found, "no such request for approval");
    if (!at->second->viewers.insert(Impl::Caller(who)).second) co_return Result<>{};
    copy = at->second->request;
  }
  op::ApprovalEvidence approval;
  approval.by = &who;
  SALLYPORT_CO_CHECK(
      co_await impl->recorder.strict(Describe(op::EventType::approval_viewed, copy, approval)));
  co_return Result<>{};
}

Result<> Desk::Notified(const std::string& id, const std::string& target, bool ok) {
  const auto request = Find(id);
  if (!request) return Fail(Errc::not_found, "no such request for approval");
  op::ApprovalEvidence approval;
  op::Evidence e = Describe(op::EventType::approval_notified, *request, approval);
  e.ok = ok;
  e.detail = target;
  SALLYPORT_CHECK(impl_->recorder.now(e));
  return {};
}

std::optional<Objection> Desk::MayNot(const Request& request, const op::Principal& who) const {
  const Known known = impl_->sightings.Of(who);
  const std::lock_guard lock(impl_->mutex);
  return MayNotDecide(request, who, impl_->options.persons, known);
}

bool Desk::OnePerson(const op::Principal& a, const op::Principal& b) const {
  const std::lock_guard lock(impl_->mutex);
  return SamePerson(a, b, impl_->options.persons);
}

Error Desk::Refuse(const std::string& id) const {
  const auto request = Find(id);
  if (!request) return Error(Errc::approval_closed, "no such request for approval");
  Error error = WhyNot(request->state);
  if (request->state == State::denied && !request->votes.empty() &&
      !request->votes.back().reason.empty()) {
    error.detail += ": " + request->votes.back().reason;
  }
  return error;
}

}  // namespace sallyport::approval
