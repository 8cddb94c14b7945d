#pragma once

#include <atomic>
#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "op/session.h"

namespace sallyport::access {

/// active → locked (idle for too long) → active (unlocked) …, until revoked or expired, which are
/// for ever.
enum class State : uint8_t { active, locked, revoked, expired };
std::string_view StateName(State state);

/// What one session is doing: shared by all who hold the session, changed without a lock.
///
/// Idle is the time since the last piece of work ended, as long as none is in progress; whichever
/// of the two clocks says more counts, so that neither a suspended machine nor a wall clock that
/// is put back makes it shorter. The end of the session is on both clocks too. Thread-safe.
class Marks {
 public:
  struct Bounds {
    Nanos idle = 0;
    Nanos expires_at = 0;  // wall
  };
  /// `worked_at` is the wall time of the last work; one that lies in the future means that the
  /// clock was put back meanwhile: nobody can tell how long nothing was done, so it is locked.
  Marks(const Clock& clock, Bounds bounds, Nanos worked_at, State state);

  /// The state as it is now.
  State Look();
  /// A piece of work begins, if the state then is active.
  State Begin();
  void End();
  void Unlock();
  /// False if it had ended before.
  bool Finish(State state);
  Nanos worked_at() const { return worked_wall_.load(std::memory_order_relaxed); }
  bool working() const { return working_.load() > 0; }

 private:
  Nanos SteadyNow() const {
    return clock_.SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
  }
  bool Idle(Nanos steady, Nanos wall) const;
  bool Over(Nanos steady, Nanos wall) const {
    return wall >= bounds_.expires_at || steady >= expires_steady_;
  }
  void Stamp();

  const Clock& clock_;
  const Bounds bounds_;
  const Nanos expires_steady_;
  std::atomic<State> state_;
  std::atomic<uint32_t> working_{0};
  std::atomic<Nanos> worked_steady_, worked_wall_;
};

/// A session as of its opening or its last unlock. Immutable but for `marks`; a front-end keeps it
/// as long as it serves the caller.
struct Live {
  std::string id;      // "u_…"
  op::Principal who;   // who.session is `id`
  std::string kind;    // "cli", "web", "workload", "mcp"
  std::string reason;  // why the person opened it, in their words; may be empty
  std::string scope;   // what it is limited to, as who.grant; empty: nothing but the rules
  std::string client;  // name of the program, and where from; for people only
  Nanos opened_at = 0;
  Nanos authenticated_at = 0;
  Nanos expires_at = 0;
  /// Of a session whose tokens are renewed (OAuth): when the present one ends; 0: with the session.
  Nanos token_until = 0;
  /// The one resource (RFC 8707) that it is good at, as an absolute URL; one that ends in a slash is
  /// everything below it. Empty: the whole gateway.
  std::string resource;
  std::string unlock_url;  // where its person unlocks it
  std::shared_ptr<Marks> marks;
};
using LivePtr = std::shared_ptr<const Live>;

/// Why a credential's own end cuts what was opened with it: session_ended of a session of a person,
/// as everywhere else where such a session is over; token_expired of a provider's token.
Error TimeIsOver(const op::Principal& who);

/// One piece of work of a session: while it lives, the session is not idle. Of a null session
/// nothing is kept. Move-only.
class Work {
 public:
  Work() = default;
  Work(Work&& other) noexcept = default;
  Work& operator=(Work&& other) noexcept {
    std::swap(marks_, other.marks_);
    return *this;
  }
  ~Work() {
    if (marks_) marks_->End();
  }
  static Result<Work> Begin(const LivePtr& live);
  /// What Begin would say.
  static Result<> Allowed(const LivePtr& live);
  /// session_locked (with where to unlock it) or session_ended, unless `state` is active.
  static Result<> May(const Live& live, State state);

 private:
  std::shared_ptr<Marks> marks_;
};

}  // namespace sallyport::access
