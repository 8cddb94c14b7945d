#include "approval/desk.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>

#include "approval/binding.h"
#include "approval/desk_impl.h"
#include "approval/store.h"
#include "base/ids.h"

namespace sallyport::approval {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kHour = 3600 * kSecond;
constexpr Nanos kKeepEnded = kHour;  // in memory
constexpr std::chrono::seconds kTurn{30};

Request MakeRequest(const Filing& filing, const Flow& flow, const std::string& target, Nanos now,
                    const state::Sealer& sealer) {
  Request r;
  r.id = NewId("a_");
  r.flow = flow.name, r.need = flow.need, r.reason_required = flow.reason_required;
  r.approvers = flow.approvers;
  r.requester = filing.requester, r.session = filing.session, r.connection = filing.connection;
  r.target = target;
  r.verb = filing.verb, r.method = filing.method, r.resource = filing.resource;
  r.effect = filing.effect, r.shown = filing.shown, r.policy_version = filing.policy_version;
  r.decision_id = filing.decision_id, r.rules = filing.rules, r.why = filing.why;
  r.unmask = filing.unmask;
  r.created = now;
  r.expires = now + std::chrono::duration_cast<std::chrono::nanoseconds>(flow.ttl).count();
  r.arguments = sealer.Digest("arguments of " + r.id, filing.exact);
  r.digest = DigestOf(r);
  return r;
}

std::string PlaceOf(const std::string& id) { return "approval " + id; }

}  // namespace

op::Evidence Describe(op::EventType type, const Request& request, op::ApprovalEvidence& approval) {
  approval.flow = request.flow;
  approval.digest = request.digest;
  if (approval.state.empty()) approval.state = StateName(request.state);
  op::Evidence e;
  e.type = type;
  e.session = request.session;
  e.connection = request.connection;
  e.method = request.method;
  e.resource = request.resource;
  e.approval_id = request.id;
  e.approval = &approval;
  return e;
}

// ---- the inside

Desk::Impl::Turn::~Turn() {
  if (!item_) return;
  std::optional<std::string> doom;
  {
    const std::lock_guard lock(impl_->mutex);
    item_->busy = false;
    doom = std::exchange(item_->doom, std::nullopt);
    item_->waiters.WakeAll();
  }
  if (doom) impl_->End(item_, State::withdrawn, nullptr, *doom);
}

void Desk::Impl::Add(const ItemPtr& item) {
  by_id[item->request.id] = item;
  by_key[item->key] = item;
}

void Desk::Impl::Count(const Request& request) {
  ++open;
  ++callers[Caller(request.requester)].open;
}

void Desk::Impl::Uncount(const Request& request) {
  --open;
  --callers[Caller(request.requester)].open;  // Forget removes the empty ones
}

void Desk::Impl::Close(const ItemPtr& item, State to, Nanos at, const std::string& why) {
  Request& r = item->request;
  r.state = to, r.closed = at, r.end_reason = why;
  Uncount(r);
  const auto keyed = by_key.find(item->key);
  if (to != State::denied && keyed != by_key.end() && keyed->second == item) by_key.erase(keyed);
  ended.push_back(item);
  item->waiters.WakeAll();
}

Result<Flow> Desk::Impl::FindFlow(const std::string& name) const {
  const auto at = std::ranges::find(options.flows, name, &Flow::name);
  if (at == options.flows.end())
    return Fail(Errc::config_invalid, "there is no approval flow \"" + name + "\"");
  return *at;
}

const std::string& Desk::Impl::TargetOf(const std::string& connection) const {
  static const std::string none;
  const auto at = options.targets.find(connection);
  return at == options.targets.end() ? none : at->second;
}

Result<> Desk::Impl::HasRoom(const Filing& filing, Nanos now) {
  if (open >= options.open_total)
    return Fail(Errc::limit_exceeded, "too many requests for approval are open");
  Load& load = callers[Caller(filing.requester)];
  if (load.since + kHour <= now) load.since = now, load.filed = 0;
  if (load.open >= options.open_per_caller)
    return Fail(Errc::limit_exceeded, "too many of your requests for approval are open");
  if (load.filed >= options.filed_per_hour)
    return Fail(Errc::limit_exceeded, "too many requests for approval within an hour");
  return {};
}

/// What makes two calls the same request. Keyed: whoever reads the state cannot try card numbers.
std::string Desk::Impl::KeyOf(const Filing& f, const Flow& flow) const {
  std::string text;
  const auto add = [&](std::string_view part) {
    text.append(std::to_string(part.size())).append(":").append(part);
  };
  for (const std::string_view part :
       {std::string_view(f.requester.issuer), std::string_view(f.requester.subject),
        std::string_view(f.requester.agent), std::string_view(f.connection),
        std::string_view(TargetOf(f.connection)), KindName(f.verb), std::string_view(f.resource),
        std::string_view(f.policy_version), std::string_view(flow.name),
        std::string_view(f.exact)}) {
    add(part);
  }
  if (f.unmask) add(std::to_string(f.unmask->max_values)), add(std::to_string(f.unmask->ttl));
  return sealer.Digest("operation", text);
}

Result<> Desk::Impl::LoadAll() {
  std::vector<store::Row> rows;
  std::vector<Sightings::Row> persons;
  const Nanos now = wall.Now();
  SALLYPORT_CHECK(state.CommitBlocking([&](state::Database& db) -> Result<> {
    SALLYPORT_TRY(rows, store::Load(db, now - kKeepEnded));
    SALLYPORT_TRY(persons, store::LoadPersons(db));
    return {};
  }));
  for (Sightings::Row& row : persons) sightings.Load(std::move(row));
  std::vector<ItemPtr> wrong;
  const std::lock_guard lock(mutex);
  for (store::Row& row : rows) {
    auto item = std::make_shared<Item>();
    item->request = std::move(row.loaded.request);
    item->key = std::move(row.loaded.key);
    Request& r = item->request;
    if (!row.shown.empty()) r.shown.text = options.mask(row.shown, r.shown.json).text;
    if (!row.unmask_reason.empty() && r.unmask)
      r.unmask->reason = options.mask(row.unmask_reason, false).text;
    if (r.open()) Count(r);
    if (r.open() || (r.state == State::denied && r.expires > now)) {
      Add(item);
    } else {
      by_id[r.id] = item;
    }
    if (!r.open()) ended.push_back(item);
  }
  std::ranges::sort(ended, {}, [](const ItemPtr& item) { return item->request.closed; });
  return {};
}

Task<Desk::Impl::Turn> Desk::Impl::TakeTurn(std::string id) {
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto deadline = std::chrono::steady_clock::now() + kTurn;
  for (;;) {
    std::optional<Parked> parked;
    {
      const std::lock_guard lock(mutex);
      if (broken) co_return std::unexpected(*broken);
      const auto at = by_id.find(id);
      if (at == by_id.end()) co_return Fail(Errc::not_found, "no such request for approval");
      if (!std::exchange(at->second->busy, true)) co_return Turn(shared_from_this(), at->second);
      parked.emplace(shared_from_this(), at->second, executor, deadline);
    }
    if (std::chrono::steady_clock::now() >= deadline)
      co_return Fail(Errc::state_unavailable, "state: no answer");
    co_await parked->Sleep();
  }
}

/// Records and stores a request that is in `by_key` already, with the turn of its maker.
Task<Request> Desk::Impl::Make(ItemPtr item, std::string exact) {
  const Turn turn(shared_from_this(), item);
  Request& r = item->request;  // nobody else sees it yet
  /// Whatever happens before it is stored: then it never was.
  struct Unfiled {
    Impl& impl;
    const ItemPtr& item;
    bool filed = false;
    ~Unfiled() {
      if (filed) return;
      const std::lock_guard lock(impl.mutex);
      const auto at = impl.by_key.find(item->key);
      if (at != impl.by_key.end() && at->second == item) impl.by_key.erase(at);
      impl.Uncount(item->request);
      item->request.state = State::withdrawn;
    }
  } unfiled{*this, item};
  op::ApprovalEvidence approval;
  approval.binding = Binding(r);
  approval.expires = r.expires;
  if (r.unmask) approval.reason = r.unmask->reason;
  op::Evidence e = Describe(op::EventType::approval_requested, r, approval);
  e.decision_id = r.decision_id;
  e.policy_version = r.policy_version;
  e.rules = r.rules;
  e.request = r.shown;
  const Result<uint64_t> entry = co_await recorder.strict(e);
  if (!entry) co_return std::unexpected(entry.error());
  r.entry = *entry;
  const auto stored = co_await state.Commit(
      [copy = r, key = item->key, sealed = sealer.Seal(PlaceOf(r.id), exact)](
          state::Database& db) -> Result<> { return store::Insert(db, copy, key, sealed); });
  if (!stored) {
    op::ApprovalEvidence end{.state = std::string(StateName(State::withdrawn))};
    op::Evidence gone = Describe(op::EventType::approval_withdrawn, r, end);
    gone.reason = stored.error().code;
    (void)recorder.now(gone);
    co_return std::unexpected(stored.error());
  }
  {
    const std::lock_guard lock(mutex);
    Add(item);
    unfiled.filed = true;
  }
  const Request copy = r;
  Tell(copy);
  co_return copy;
}

void Desk::Impl::Tell(const Request& request) {
  for (const auto& listener : listeners) listener(request);
}

// ---- the desk

Result<> Desk::Migrate(state::Database& db) { return store::Migrate(db); }

Desk::Desk(state::Writer& state, state::Sealer sealer, Recorder recorder, Options options,
           const Clock& clock)
    : impl_(std::make_shared<Impl>(state, std::move(sealer), std::move(recorder),
                                   std::move(options), clock)) {
  if (auto loaded = impl_->LoadAll(); !loaded) impl_->broken = loaded.error();
  impl_->EndStale();
}

Desk::~Desk() = default;

Task<Request> Desk::File(Filing filing) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto executor = co_await boost::asio::this_coro::executor;
  const auto deadline = std::chrono::steady_clock::now() + kTurn;
  for (;;) {
    std::optional<Impl::Parked> parked;
    Impl::ItemPtr made, over;
    Flow flow;
    {
      const std::lock_guard lock(impl->mutex);
      if (impl->broken) co_return std::unexpected(*impl->broken);
      SALLYPORT_CO_TRY(flow, impl->FindFlow(filing.flow));
    }
    const std::string key = impl->KeyOf(filing, flow);
    const Nanos now = impl->wall.Now();
    {
      const std::lock_guard lock(impl->mutex);
      const auto at = impl->by_key.find(key);
      if (at != impl->by_key.end() && at->second->request.expires > now) {
        const Impl::ItemPtr& item = at->second;
        if (!item->busy) co_return item->request;
        parked.emplace(impl, item, executor, deadline);  // being filed, decided or used
      } else if (at != impl->by_key.end() && at->second->request.open()) {
        over = at->second;
      } else {
        SALLYPORT_CO_CHECK(impl->HasRoom(filing, now));
        made = std::make_shared<Impl::Item>();
        made->busy = true;
        made->key = key;
        made->request =
            MakeRequest(filing, flow, impl->TargetOf(filing.connection), now, impl->sealer);
        impl->by_key[key] = made;
        impl->Count(made->request);
        ++impl->callers[Impl::Caller(filing.requester)].filed;
      }
    }
    if (made) co_return co_await impl->Make(std::move(made), std::move(filing.exact));
    if (over) {
      if (impl->End(over, State::expired, nullptr, "not decided and used in time")) continue;
      const std::lock_guard lock(impl->mutex);
      parked.emplace(impl, over, executor, deadline);
    }
    if (std::chrono::steady_clock::now() >= deadline)
      co_return Fail(Errc::state_unavailable, "state: no answer");
    co_await parked->Sleep();
  }
}

Task<State> Desk::Wait(std::string id, std::chrono::steady_clock::time_point deadline) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto executor = co_await boost::asio::this_coro::executor;
  for (;;) {
    std::optional<Impl::Parked> parked;
    {
      const std::lock_guard lock(impl->mutex);
      const auto at = impl->by_id.find(id);
      if (at == impl->by_id.end()) co_return Fail(Errc::not_found, "no such request for approval");
      const State state = at->second->request.state;
      if (state != State::pending || std::chrono::steady_clock::now() >= deadline) co_return state;
      parked.emplace(impl, at->second, executor, deadline);
    }
    co_await parked->Sleep();
  }
}

std::optional<Request> Desk::Find(const std::string& id) const {
  const std::lock_guard lock(impl_->mutex);
  const auto at = impl_->by_id.find(id);
  if (at == impl_->by_id.end()) return std::nullopt;
  return at->second->request;
}

std::vector<Request> Desk::List(const Filter& filter) const {
  std::vector<Impl::ItemPtr> found;
  const std::lock_guard lock(impl_->mutex);
  for (const auto& [id, item] : impl_->by_id) {
    const Request& r = item->request;
    if (filter.state && r.state != *filter.state) continue;
    if (filter.open_only && !r.open()) continue;
    if (filter.requester != nullptr && Impl::Caller(*filter.requester) != Impl::Caller(r.requester))
      continue;
    found.push_back(item);
  }
  const size_t take = std::min(found.size(), filter.limit);
  std::ranges::partial_sort(found, found.begin() + ptrdiff_t(take), std::greater<>(),
                            [](const Impl::ItemPtr& i) {
                              return std::pair(i->request.created, std::string_view(i->request.id));
                            });
  std::vector<Request> out;
  out.reserve(take);
  for (size_t i = 0; i < take; ++i) out.push_back(found[i]->request);
  return out;
}

Task<std::string> Desk::Exact(std::string id) {
  const std::shared_ptr<Impl> impl = impl_;
  const auto sealed = std::make_shared<std::string>();
  SALLYPORT_CO_CHECK(co_await impl->state.Commit([id, sealed](state::Database& db) -> Result<> {
    SALLYPORT_TRY(*sealed, store::Exact(db, id));
    return {};
  }));
  co_return impl->sealer.Open(PlaceOf(id), *sealed);
}

std::string Desk::UrlOf(const std::string& id) const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->options.public_url + "/approvals/" + id;
}

void Desk::OnChange(std::function<void(const Request&)> f) {
  impl_->listeners.push_back(std::move(f));
}

Desk::Counts Desk::counts() const {
  Counts counts;
  const std::lock_guard lock(impl_->mutex);
  for (const auto& [id, item] : impl_->by_id) {
    counts.pending += item->request.state == State::pending ? 1 : 0;
    counts.approved += item->request.state == State::approved ? 1 : 0;
  }
  return counts;
}

}  // namespace sallyport::approval
