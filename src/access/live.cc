#include "access/live.h"

#include <algorithm>
#include <utility>

namespace sallyport::access {

std::string_view StateName(State state) {
  switch (state) {
    case State::active:
      return "active";
    case State::locked:
      return "locked";
    case State::revoked:
      return "revoked";
    case State::expired:
      return "expired";
  }
  return "expired";
}

Marks::Marks(const Clock& clock, Bounds bounds, Nanos worked_at, State state)
    : clock_(clock),
      bounds_(bounds),
      expires_steady_(SteadyNow() + std::max<Nanos>(0, bounds.expires_at - clock.WallNow())),
      state_(state) {
  const Nanos ago = clock.WallNow() - worked_at;
  if (ago < 0 && state == State::active) state_ = State::locked;
  worked_steady_ = SteadyNow() - std::max<Nanos>(0, ago);
  worked_wall_ = worked_at;
}

bool Marks::Idle(Nanos steady, Nanos wall) const {
  return std::max(steady - worked_steady_.load(), wall - worked_wall_.load()) >= bounds_.idle;
}

void Marks::Stamp() {
  worked_steady_ = SteadyNow();
  worked_wall_ = clock_.WallNow();
}

State Marks::Look() {
  State state = state_.load();
  if (state == State::revoked || state == State::expired) return state;
  const Nanos steady = SteadyNow(), wall = clock_.WallNow();
  if (Over(steady, wall)) {
    Finish(State::expired);
    return state_.load();
  }
  if (state == State::active && working_.load() == 0 && Idle(steady, wall))
    state_.compare_exchange_strong(state, State::locked);
  return state_.load();
}

State Marks::Begin() {
  // Looked at before the mark: work that begins when the session has been idle for too long does
  // not keep it from being locked.
  State state = Look();
  if (state == State::active) {
    working_.fetch_add(1);
    state = state_.load();
    if (state != State::active) End();
  }
  return state;
}

void Marks::End() {
  if (state_.load() == State::active) Stamp();
  working_.fetch_sub(1);
}

void Marks::Unlock() {
  Stamp();
  State locked = State::locked;
  state_.compare_exchange_strong(locked, State::active);
}

bool Marks::Finish(State state) {
  State now = state_.load();
  while (now == State::active || now == State::locked) {
    if (state_.compare_exchange_weak(now, state)) return true;
  }
  return false;
}

Error TimeIsOver(const op::Principal& who) {
  if (who.session.empty()) return {Errc::token_expired, "the credential has expired"};
  return {Errc::session_ended, "the time of the session is over"};
}

Result<> Work::May(const Live& live, State state) {
  switch (state) {
    case State::active:
      return {};
    case State::locked:
      return Fail(Errc::session_locked,
                  "the session was idle for too long; unlock it at " + live.unlock_url);
    case State::revoked:
      return Fail(Errc::session_ended, "the session was ended");
    case State::expired:
      break;
  }
  return std::unexpected(TimeIsOver(live.who));
}

Result<> Work::Allowed(const LivePtr& live) {
  return live ? May(*live, live->marks->Look()) : Result<>();
}

Result<Work> Work::Begin(const LivePtr& live) {
  Work work;
  if (live) {
    SALLYPORT_CHECK(May(*live, live->marks->Begin()));
    work.marks_ = live->marks;
  }
  return work;
}

}  // namespace sallyport::access
