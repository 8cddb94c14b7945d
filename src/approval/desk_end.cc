#include <algorithm>

#include "approval/desk_impl.h"
#include "approval/store.h"

namespace sallyport::approval {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kHour = 3600 * kSecond;
constexpr Nanos kKeepStored = 30 * 24 * kHour;  // in the state; the log keeps it for good
constexpr size_t kMaxEnded = 20'000;            // in memory
constexpr Nanos kLongest = 8 * 24 * kHour;      // more than any flow's ttl

op::EventType EventOf(State to) {
  return to == State::expired ? op::EventType::approval_expired : op::EventType::approval_withdrawn;
}

}  // namespace

/// Nothing is let through by an end, so nobody waits for its commit. A crash before it is in the
/// state brings the request back: then it expires, or rules and caller are looked at again.
bool Desk::Impl::End(const ItemPtr& item, State to, const op::Principal* by,
                     const std::string& why) {
  Request copy;
  State from;
  {
    const std::lock_guard lock(mutex);
    if (!item->request.open()) return false;
    if (item->busy) {
      if (to == State::withdrawn) item->doom = why;
      return false;
    }
    from = item->request.state;
    Close(item, to, wall.Now(), why);
    copy = item->request;
  }
  op::ApprovalEvidence approval;
  approval.by = by;
  op::Evidence e = Describe(EventOf(to), copy, approval);
  e.detail = why;
  (void)recorder.now(e);  // the ledger's failure is its own alarm; what is ended stays ended
  (void)state.Enqueue([id = copy.id, from, to, at = copy.closed, why](state::Database& db) {
    return store::Move(db, id, from, to, at, why);
  });
  Tell(copy);
  return true;
}

size_t Desk::Impl::EndWhere(const std::function<bool(const Request&)>& which,
                            const std::string& why) {
  std::vector<ItemPtr> found;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [key, item] : by_key) {  // also what is being filed at this moment
      if (item->request.open() && which(item->request)) found.push_back(item);
    }
  }
  for (const ItemPtr& item : found) End(item, State::withdrawn, nullptr, why);
  return found.size();
}

Result<> Desk::Withdraw(const std::string& id, const op::Principal& who, const std::string& why) {
  Impl::ItemPtr item;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto at = impl_->by_id.find(id);
    if (at == impl_->by_id.end()) return Fail(Errc::not_found, "no such request for approval");
    item = at->second;
    if (Impl::Caller(item->request.requester) != Impl::Caller(who))
      return Fail(Errc::approver_ineligible, "only who asked can take a request back");
    if (item->request.state == State::expired) return Fail(Errc::approval_expired);
    if (!item->request.open()) return Fail(Errc::approval_closed);
  }
  impl_->End(item, State::withdrawn, &who, why);
  return {};
}

size_t Desk::EndOf(const std::string& issuer, const std::string& subject, const std::string& why) {
  return impl_->EndWhere(
      [&](const Request& r) {
        return r.requester.issuer == issuer && r.requester.subject == subject;
      },
      why);
}

std::string Desk::Impl::Stale(const Request& r) const {
  if (!policy_version.empty() && r.policy_version != policy_version)
    return "the rules have changed";
  if (r.target != TargetOf(r.connection)) return "the connection leads somewhere else now";
  const auto flow = std::ranges::find(options.flows, r.flow, &Flow::name);
  const bool same = flow != options.flows.end() && flow->approvers == r.approvers &&
                    flow->need == r.need && flow->reason_required == r.reason_required;
  return same ? "" : "the approval flow has changed";
}

size_t Desk::Impl::EndStale() {
  std::vector<std::pair<ItemPtr, std::string>> found;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [key, item] : by_key) {
      if (!item->request.open()) continue;
      if (std::string why = Stale(item->request); !why.empty())
        found.emplace_back(item, std::move(why));
    }
  }
  for (const auto& [item, why] : found) End(item, State::withdrawn, nullptr, why);
  return found.size();
}

size_t Desk::EndOthers(const std::string& policy_version) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->policy_version = policy_version;
  }
  return impl_->EndStale();
}

void Desk::Configure(std::vector<Flow> flows, Persons persons, size_t open_per_caller,
                     size_t filed_per_hour) {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->options.flows = std::move(flows);
    impl_->options.persons = std::move(persons);
    impl_->options.open_per_caller = open_per_caller;
    impl_->options.filed_per_hour = filed_per_hour;
  }
  impl_->EndStale();
}

void Desk::Saw(const op::Principal& who) {
  if (auto row = impl_->sightings.See(who, impl_->wall.Now())) {
    (void)impl_->state.Enqueue(
        [row = std::move(*row)](state::Database& db) { return store::PutPerson(db, row); });
  }
}

void Desk::Impl::Expire(Nanos now) {
  std::vector<ItemPtr> over;
  {
    const std::lock_guard lock(mutex);
    for (const auto& [id, item] : by_id) {
      const Request& r = item->request;
      // One from the future was made before the clock was set back: how much of its time is left is
      // not known, so none is.
      const bool strange = r.expires > now + kLongest || r.created > now + 300 * kSecond;
      if (r.open() && (r.expires <= now || strange)) over.push_back(item);
    }
  }
  for (const ItemPtr& item : over)
    End(item, State::expired, nullptr, "not decided and used in time");
}

void Desk::Impl::Forget(Nanos now) {
  const std::lock_guard lock(mutex);
  while (!ended.empty() &&
         (ended.size() > kMaxEnded || ended.front()->request.closed + kHour < now)) {
    by_id.erase(ended.front()->request.id);
    ended.pop_front();
  }
  std::erase_if(by_key, [&](const auto& keyed) {
    const Item& item = *keyed.second;
    return item.request.state == State::denied && item.request.expires <= now;
  });
  std::erase_if(callers, [&](const auto& caller) {
    return caller.second.open == 0 && caller.second.since + kHour < now;
  });
}

void Desk::Tick() {
  bool broken;
  {
    const std::lock_guard lock(impl_->mutex);
    broken = impl_->broken.has_value();
  }
  if (broken) {
    if (!impl_->LoadAll()) return;
    {
      const std::lock_guard lock(impl_->mutex);
      impl_->broken.reset();
    }
    impl_->EndStale();
  }
  const Nanos now = impl_->wall.Now();
  impl_->Expire(now);
  impl_->Forget(now);
  if (impl_->pruned + kHour > now) return;
  impl_->pruned = now;
  (void)impl_->state.Enqueue(
      [now](state::Database& db) { return store::Prune(db, now - kKeepStored); });
}

}  // namespace sallyport::approval
