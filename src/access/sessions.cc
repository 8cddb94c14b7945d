#include "access/sessions.h"

#include <algorithm>
#include <utility>

#include "access/token.h"
#include "base/ids.h"
#include "policy/grant.h"

namespace sallyport::access {
namespace {

/// No credential lives longer (identity's max_lifetime, with skew), so older revocations say
/// nothing. A session that is over is remembered as long, so that its client is told so.
constexpr Nanos kRemembered = Nanos(26) * 3600 * 1'000'000'000;
constexpr Nanos kSweepEvery = Nanos(60) * 1'000'000'000;

bool Over(State state) { return state == State::revoked || state == State::expired; }

Error WhyNot(const Live& live, State state) { return Work::May(live, state).error(); }

}  // namespace

std::unique_ptr<Sessions> Sessions::Make(Options options, std::shared_ptr<Store> store,
                                         const Clock& clock) {
  std::unique_ptr<Sessions> self(new Sessions(options, std::move(store), clock));
  Result<Store::Loaded> loaded = self->store_->Load();
  if (!loaded) {
    self->failure_ = loaded.error().detail;
    self->revocations_.AddAll(clock.WallNow());
    return self;
  }
  for (const RevocationRow& row : loaded->revocations) self->revocations_.Add(row);
  for (Row& row : loaded->sessions) self->Adopt(std::move(row));
  return self;
}

void Sessions::Adopt(Row row) {
  auto live = std::make_shared<Live>(std::move(row.session));
  live->who.session = live->id;
  live->unlock_url = options_.unlock_url + live->id;
  live->marks = std::make_shared<Marks>(
      clock_, Marks::Bounds{.idle = options_.idle.count(), .expires_at = live->expires_at},
      row.worked_at, row.state);
  if (!live->scope.empty()) {
    // Limits that cannot be read are not "no limits".
    auto grant = policy::Grant::Parse(live->scope);
    if (grant) live->who.grant = std::move(*grant);
    if (!grant) live->marks->Finish(State::revoked);
  }
  // The process may have died between a revocation and its marks.
  if (revocations_.Covers(live->who, live->authenticated_at)) live->marks->Finish(State::revoked);
  names_.Saw(live->who.issuer, live->who.subject, live->who.name, clock_.WallNow());
  Entry& entry = by_id_[live->id];
  entry = {.digest = row.digest,
           .before = std::nullopt,
           .live = live,
           .told = row.state,
           .noted_at = row.worked_at,
           .ended_at = row.ended_at};
  Publish(row.digest, std::move(live));
}

void Sessions::Publish(const TokenDigest& digest, LivePtr live) {
  Part& part = PartOf(digest);
  const std::lock_guard lock(part.mutex);
  part.live[digest] = std::move(live);
}

void Sessions::Drop(const TokenDigest& digest) {
  Part& part = PartOf(digest);
  const std::lock_guard lock(part.mutex);
  part.live.erase(digest);
}

Result<> Sessions::Reserve(const op::Principal& who) const {
  if (by_id_.size() >= options_.most)
    return Fail(Errc::limit_exceeded, "there are as many sessions as are allowed");
  const auto own = std::ranges::count_if(by_id_, [&](const auto& entry) {
    const Live& live = *entry.second.live;
    return live.who.subject == who.subject && live.who.issuer == who.issuer &&
           !Over(live.marks->Look());
  });
  if (size_t(own) >= options_.per_person)
    return Fail(Errc::limit_exceeded, "you have as many sessions as are allowed");
  return {};
}

Task<Opened> Sessions::Open(Opening opening) {
  Opened opened;
  const Nanos now = clock_.WallNow();
  Row row;
  if (!opening.scope.empty()) SALLYPORT_CO_CHECK(policy::Grant::Parse(opening.scope));
  {
    const std::lock_guard lock(mutex_);
    SALLYPORT_CO_CHECK(Reserve(opening.who));
  }
  if (revocations_.Covers(opening.who, opening.authenticated_at))
    co_return Fail(Errc::session_ended, "the login was revoked");
  opened.token = NewToken();
  opened.id = NewId("u_");
  const auto lasts = opening.lasts.count() > 0 ? std::min(opening.lasts, options_.max_duration)
                                               : options_.max_duration;
  opened.expires_at = now + lasts.count();
  row.digest = DigestToken(opened.token);
  row.worked_at = now;
  Live& live = row.session;
  live.id = opened.id;
  live.who = std::move(opening.who);
  live.who.session = live.id;
  live.who.token_class = "session";
  live.who.expires_at = opened.expires_at;
  live.kind = std::move(opening.kind);
  live.reason = std::move(opening.reason);
  live.scope = std::move(opening.scope);
  live.client = std::move(opening.client);
  live.opened_at = now;
  live.authenticated_at = opening.authenticated_at;
  live.expires_at = opened.expires_at;
  live.resource = std::move(opening.resource);
  if (opening.token_lasts.count() > 0 && opening.token_lasts < lasts)
    live.token_until = now + opening.token_lasts.count();
  opened.token_until = live.token_until != 0 ? live.token_until : live.expires_at;
  SALLYPORT_CO_CHECK(co_await store_->Put(row));
  Saw(live.who, live.authenticated_at);
  LivePtr adopted;
  {
    const std::lock_guard lock(mutex_);
    Adopt(std::move(row));
    adopted = by_id_.at(opened.id).live;
  }
  // Whoever was revoked meanwhile has a session that is over.
  if (Over(adopted->marks->Look())) co_return Fail(Errc::session_ended, "the login was revoked");
  if (on_open_) on_open_(*adopted);
  co_return opened;
}

Result<LivePtr> Sessions::Check(const TokenDigest& digest) {
  LivePtr live;
  {
    Part& part = PartOf(digest);
    const std::lock_guard lock(part.mutex);
    const auto found = part.live.find(digest);
    if (found != part.live.end()) live = found->second;
  }
  if (!live) return Fail(Errc::session_unknown, "there is no such session");
  const State state = live->marks->Look();
  if (state != State::active) return std::unexpected(WhyNot(*live, state));
  if (live->token_until != 0 && clock_.WallNow() >= live->token_until)
    return Fail(Errc::token_expired, "the token has expired; its client renews it");
  return live;
}

Task<Opened> Sessions::Renew(std::string id, std::chrono::nanoseconds token_lasts, bool keep) {
  Row row;
  TokenDigest before{};
  LivePtr old;
  Opened opened{.token = NewToken(), .id = id};
  const Nanos now = clock_.WallNow();
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) co_return Fail(Errc::session_unknown, "there is no such session");
    old = found->second.live;
    before = found->second.digest;
  }
  row.state = old->marks->Look();
  if (Over(row.state)) co_return std::unexpected(WhyNot(*old, row.state));
  row.digest = DigestToken(opened.token);
  row.session = *old;
  row.session.marks = nullptr;
  row.session.token_until = std::min(now + token_lasts.count(), old->expires_at);
  row.worked_at = old->marks->worked_at();
  opened.expires_at = old->expires_at;
  opened.token_until = row.session.token_until;
  SALLYPORT_CO_CHECK(co_await store_->Put(row));
  auto live = std::make_shared<Live>(row.session);
  live->marks = old->marks;
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = by_id_[id];
    if (entry.live != old) co_return Fail(Errc::state_invalid, "the session has just changed");
    if (entry.before) Drop(*entry.before);
    entry.before = std::nullopt;
    if (keep) entry.before = before;
    if (!keep) Drop(before);
    entry.digest = row.digest;
    entry.live = live;
  }
  Publish(row.digest, live);
  if (const State state = live->marks->Look(); Over(state)) {
    SALLYPORT_CO_CHECK(co_await store_->Put({{id, state, row.worked_at, clock_.WallNow()}}));
    co_return std::unexpected(WhyNot(*live, state));
  }
  co_return opened;
}

Task<> Sessions::Unlock(std::string id, op::Principal fresh, Nanos authenticated_at) {
  Row row;
  LivePtr before;
  {
    const std::lock_guard lock(mutex_);
    const auto found = by_id_.find(id);
    if (found == by_id_.end()) co_return Fail(Errc::session_unknown, "there is no such session");
    before = found->second.live;
    row.digest = found->second.digest;
  }
  if (before->who.issuer != fresh.issuer || before->who.subject != fresh.subject)
    co_return Fail(Errc::session_foreign, "the session is another person's");
  if (const State state = before->marks->Look(); Over(state))
    co_return std::unexpected(WhyNot(*before, state));
  if (revocations_.Covers(fresh, authenticated_at))
    co_return Fail(Errc::session_ended, "the login was revoked");
  row.session = *before;
  row.session.marks = nullptr;
  row.session.who.name = fresh.name;
  row.session.who.groups = std::move(fresh.groups);
  row.session.who.groups_complete = fresh.groups_complete;
  row.session.who.sid = fresh.sid;
  row.session.who.acr = fresh.acr;
  row.session.who.amr = fresh.amr;
  row.session.who.auth_time = fresh.auth_time;
  row.session.authenticated_at = authenticated_at;
  row.worked_at = clock_.WallNow();
  SALLYPORT_CO_CHECK(co_await store_->Put(row));
  auto live = std::make_shared<Live>(row.session);
  live->marks = before->marks;
  live->marks->Unlock();
  {
    const std::lock_guard lock(mutex_);
    Entry& entry = by_id_[id];
    entry.live = live;
    if (entry.before) Drop(*entry.before);
    entry.before.reset();
    entry.told = State::active;
    entry.noted_at = row.worked_at;
  }
  Publish(row.digest, live);
  Saw(live->who, authenticated_at);
  if (const State state = live->marks->Look(); Over(state)) {
    // Ended meanwhile: the row that was just put must not be the last word.
    SALLYPORT_CO_CHECK(co_await store_->Put({{id, state, row.worked_at, clock_.WallNow()}}));
    co_return std::unexpected(WhyNot(*live, state));
  }
  if (on_lock_) on_lock_(*live, false);
  co_return Result<>{};
}

std::vector<Store::Mark> Sessions::Finish(const Target& target, Nanos wall, LivePtr* last) {
  std::vector<Store::Mark> marks;
  const std::lock_guard lock(mutex_);
  for (auto& [id, entry] : by_id_) {
    if (!target.Means(entry.live->who) || !entry.live->marks->Finish(State::revoked)) continue;
    entry.told = State::revoked;
    entry.ended_at = wall;
    if (last != nullptr) *last = entry.live;
    marks.push_back({id, State::revoked, entry.live->marks->worked_at(), wall});
  }
  return marks;
}

Task<size_t> Sessions::Revoke(Target target, std::string by, std::string why, std::string source) {
  const Nanos wall = clock_.WallNow();
  const Nanos asked_at = SteadyNow();
  RevocationRow row;
  const bool person = target.session.empty();
  if (person) {
    row = {.issuer = target.issuer,
           .subject = target.subject,
           .sid = target.sid,
           .at = wall,
           .by = by,
           .why = why};
    revocations_.Add(row);
  }
  LivePtr own;
  std::vector<Store::Mark> marks = Finish(target, wall, person ? nullptr : &own);
  const size_t ended = marks.size();
  if (!person && ended == 0)
    co_return Fail(Errc::session_unknown, "there is no such session, or it is over");
  if (on_end_)
    on_end_({.whom = std::move(target),
             .session = own,
             .by = std::move(by),
             .why = std::move(why),
             .source = !source.empty() ? std::move(source)
                       : person        ? "person"
                                       : "session",
             .reason = Errc::session_ended,
             .sessions = ended,
             .asked_at = asked_at});
  if (person) SALLYPORT_CO_CHECK(co_await store_->Put(std::move(row)));
  if (ended > 0) SALLYPORT_CO_CHECK(co_await store_->Put(std::move(marks)));
  co_return ended;
}

bool Sessions::Revoked(const op::Principal& who, Nanos issued_at, Nanos skew) const {
  return revocations_.Covers(who, issued_at - skew) || groups_.Outdated(who, issued_at);
}

void Sessions::Saw(const op::Principal& who, Nanos issued_at) {
  names_.Saw(who.issuer, who.subject, who.name, clock_.WallNow());
  std::vector<std::string> left = groups_.Saw(who, issued_at);
  if (left.empty()) return;
  const Ended ended{.whom = {.issuer = who.issuer, .subject = who.subject, .left_groups = left},
                    .session = nullptr,
                    .by = "identity provider",
                    .why = "the person has left a group",
                    .source = "group",
                    .reason = Errc::session_ended,
                    .asked_at = SteadyNow()};
  std::vector<Store::Mark> marks = Finish(ended.whom, clock_.WallNow(), nullptr);
  if (!marks.empty()) store_->Note(std::move(marks));
  if (on_end_) on_end_(ended);
}

std::vector<SessionInfo> Sessions::List(const std::function<bool(const Live&)>& which) const {
  std::vector<SessionInfo> list;
  const std::lock_guard lock(mutex_);
  for (const auto& [id, entry] : by_id_) {
    if (which && !which(*entry.live)) continue;
    Marks& marks = *entry.live->marks;
    list.push_back({entry.live, marks.Look(), marks.worked_at(), marks.working()});
  }
  return list;
}

std::optional<SessionInfo> Sessions::Find(std::string_view id) const {
  const std::lock_guard lock(mutex_);
  const auto found = by_id_.find(id);
  if (found == by_id_.end()) return std::nullopt;
  Marks& marks = *found->second.live->marks;
  return SessionInfo{found->second.live, marks.Look(), marks.worked_at(), marks.working()};
}

std::string Sessions::IdOf(std::string_view token) {
  const TokenDigest digest = DigestToken(token);
  Part& part = PartOf(digest);
  const std::lock_guard lock(part.mutex);
  const auto found = part.live.find(digest);
  return found == part.live.end() ? "" : found->second->id;
}

size_t Sessions::size() const {
  const std::lock_guard lock(mutex_);
  return by_id_.size();
}

std::vector<Ended> Sessions::Settle(std::vector<Store::Mark>& durable,
                                    std::vector<Store::Mark>& soon,
                                    std::vector<std::pair<LivePtr, bool>>& locks) {
  std::vector<Ended> over;
  const Nanos wall = clock_.WallNow();
  const std::lock_guard lock(mutex_);
  for (auto& [id, entry] : by_id_) {
    Marks& marks = *entry.live->marks;
    const State state = marks.Look();
    const Nanos worked_at = marks.worked_at();
    if (state == entry.told) {
      if (!Over(state) &&
          worked_at - entry.noted_at >= std::chrono::nanoseconds(kIdleNoted).count()) {
        entry.noted_at = worked_at;
        soon.push_back({id, state, worked_at, 0});
      }
      continue;
    }
    entry.told = state;
    entry.noted_at = worked_at;
    if (Over(state)) {
      entry.ended_at = wall;
      over.push_back({.whom = {.session = id},
                      .session = entry.live,
                      .by = state == State::expired ? "expiry" : "revocation",
                      .why = WhyNot(*entry.live, state).detail,
                      .source = state == State::expired ? "expiry" : "session",
                      .asked_at = SteadyNow()});
    } else if (state == State::locked) {
      locks.emplace_back(entry.live, true);
    }
    durable.push_back({id, state, worked_at, entry.ended_at});
  }
  return over;
}

void Sessions::Tick() {
  std::vector<Store::Mark> durable, soon;
  std::vector<std::pair<LivePtr, bool>> locks;
  for (const Ended& ended : Settle(durable, soon, locks)) {
    if (on_end_) on_end_(ended);
  }
  for (const auto& [live, locked] : locks) {
    if (on_lock_) on_lock_(*live, locked);
  }
  // A lock or an expiry that is lost with the process is found again from the marks.
  soon.insert(soon.end(), durable.begin(), durable.end());
  if (!soon.empty()) store_->Note(std::move(soon));

  const Nanos steady = SteadyNow(), wall = clock_.WallNow();
  if (steady - swept_at_ < kSweepEvery) return;
  swept_at_ = steady;
  std::vector<std::string> gone;
  {
    const std::lock_guard lock(mutex_);
    for (auto it = by_id_.begin(); it != by_id_.end();) {
      const Entry& entry = it->second;
      if (entry.ended_at == 0 || wall - entry.ended_at < kRemembered) {
        ++it;
        continue;
      }
      Drop(entry.digest);
      if (entry.before) Drop(*entry.before);
      gone.push_back(it->first);
      it = by_id_.erase(it);
    }
  }
  revocations_.Forget(wall - kRemembered);
  names_.Forget(wall - kRemembered);
  store_->Forget(std::move(gone), wall - kRemembered);
}

}  // namespace sallyport::access
