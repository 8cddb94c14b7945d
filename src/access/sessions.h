#pragma once

#include <array>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "access/digest.h"
#include "access/live.h"
#include "access/names.h"
#include "access/revocations.h"
#include "access/store.h"
#include "access/target.h"
#include "base/clock.h"
#include "base/task.h"

namespace sallyport::access {

/// What a session is opened with.
struct Opening {
  op::Principal who;
  std::string kind;  // "cli", "web", "workload", "mcp"
  std::string reason;
  std::string scope;  // limits as policy::Grant reads them; empty: none
  std::string client;
  std::chrono::nanoseconds lasts{0};        // 0: max_duration, which is the most
  Nanos authenticated_at = 0;               // when the person proved who they are
  std::string resource = {};                // as Live::resource
  std::chrono::nanoseconds token_lasts{0};  // 0: as long as the session
};

struct Opened {
  std::string token;  // shown once; only its digest is kept
  std::string id;     // "u_…"
  Nanos expires_at = 0;
  Nanos token_until = 0;  // when the token ends, which may be renewed until then
};

struct SessionInfo {
  LivePtr session;
  State state = State::active;
  Nanos worked_at = 0;
  bool working = false;
};

/// Work that has to end now: for those who serve it.
struct Ended {
  Target whom;
  LivePtr session;  // of a session's own end; null where a person is meant
  std::string by;   // who did it, for people: a name, "expiry", "backchannel-logout"
  std::string why;
  /// What asked for it, of a closed set for metrics: "session", "person", "expiry", "group", or
  /// what Revoke was told.
  std::string source;
  Errc reason = Errc::session_ended;
  size_t sessions = 0;  // of the gateway's own that ended with it
  Nanos asked_at = 0;   // steady: when it was asked for, for the time it took
};

/// Sessions of people and agents: opaque reference tokens whose state is here and nowhere else, so
/// that locking, unlocking and ending work at once and the client's token never changes. And the
/// memory of revocations, for credentials of every kind.
///
/// A token is known by its SHA-256; sessions, their locks and revocations are durable before the
/// call that makes them returns, and are the same after a restart (marks of the last work may be
/// kIdleNoted older, so a session locks that much earlier at most). If the state cannot be written,
/// nothing is opened or unlocked (state_unavailable); a revocation holds in this process anyway.
///
/// Threads: all methods are thread-safe. Check takes the lock of one of 16 parts of a hash map.
/// Callbacks are set before the first call and run on the thread that ends or ticks.
/// Source: PCI DSS 8.2.5, 8.2.8; docs/sessions.md.
class Sessions {
 public:
  struct Options {
    std::chrono::nanoseconds idle = std::chrono::minutes(15);
    std::chrono::nanoseconds max_duration = std::chrono::hours(4);
    uint32_t per_person = 64;
    uint32_t most = 100'000;
    std::string unlock_url;  // before the id of a session
  };

  /// Reads what is kept. If that cannot be read, there are no sessions, and as nobody knows any
  /// more who was revoked, credentials that were issued before now count as revoked: their holders
  /// get new ones. `clock` must outlive it.
  static std::unique_ptr<Sessions> Make(Options options, std::shared_ptr<Store> store,
                                        const Clock& clock);
  /// Why what was kept could not be read; empty if it was.
  const std::string& failure() const { return failure_; }

  /// request_malformed (the scope), limit_exceeded, session_ended (the person was revoked after
  /// `authenticated_at`).
  Task<Opened> Open(Opening opening);
  /// Another token of the session, good for `token_lasts` and no longer than the session: a locked
  /// session stays locked, and renewing is no work. With `keep` the token before goes on to its own
  /// end, as calls may be on their way; older ones are worth nothing any more. session_unknown,
  /// session_ended.
  Task<Opened> Renew(std::string id, std::chrono::nanoseconds token_lasts, bool keep);
  /// The session of a token: session_unknown, session_locked, session_ended, token_expired.
  Result<LivePtr> Check(std::string_view token) { return Check(DigestToken(token)); }
  Result<LivePtr> Check(const TokenDigest& digest);
  /// A fresh login of the same person lets a locked session go on, with the groups of today:
  /// session_unknown, session_foreign, session_ended.
  Task<> Unlock(std::string id, op::Principal fresh, Nanos authenticated_at);
  /// Ends sessions, and all other credentials of a person or of a session at the provider that were
  /// issued until now. Takes effect before the first suspension; how many sessions ended. `source`:
  /// Ended::source, if it is another than the usual one.
  Task<size_t> Revoke(Target target, std::string by, std::string why, std::string source = {});

  /// The subjects of `issuer` whose credentials of the last day showed this name, whatever its
  /// case. Not one but all, as a name is nobody's own: whoever acts on it wants exactly one.
  /// limit_exceeded: there are more people than are kept, so that nobody can tell.
  Result<std::vector<std::string>> Named(std::string_view issuer, std::string_view name) const {
    return names_.Find(issuer, name);
  }

  /// Whether a credential of `who`, issued at `issued_at`, is worth nothing any more. `skew`: how
  /// far its issuer's clock may be ahead of ours; what it has issued "just now" may be older than a
  /// revocation. Its credentials among themselves are in the order of their times.
  bool Revoked(const op::Principal& who, Nanos issued_at, Nanos skew = 0) const;
  /// A credential of `who` was verified for the first time: if it shows fewer groups than an older
  /// one, what rests on the lost ones ends.
  void Saw(const op::Principal& who, Nanos issued_at);

  std::vector<SessionInfo> List(const std::function<bool(const Live&)>& which = nullptr) const;
  std::optional<SessionInfo> Find(std::string_view id) const;
  /// The id of a token's session, whatever its state; empty: there is none.
  std::string IdOf(std::string_view token);
  size_t size() const;

  /// Locks and expires what is due, notes marks, forgets what is long over. Some ten times a
  /// second.
  void Tick();
  void OnEnd(std::function<void(const Ended&)> f) { on_end_ = std::move(f); }
  void OnOpen(std::function<void(const Live&)> f) { on_open_ = std::move(f); }
  /// Locked (true) or unlocked.
  void OnLock(std::function<void(const Live&, bool)> f) { on_lock_ = std::move(f); }

  static constexpr std::chrono::seconds kIdleNoted{20};

 private:
  struct Entry {
    TokenDigest digest;
    std::optional<TokenDigest> before;  // of the token that was renewed
    LivePtr live;
    State told = State::active;  // callbacks have run for this state
    Nanos noted_at = 0;          // the mark that the store has
    Nanos ended_at = 0;
  };
  struct Part {
    mutable std::mutex mutex;
    std::unordered_map<TokenDigest, LivePtr, TokenDigestHash> live;
  };
  static constexpr size_t kParts = 16;

  Sessions(Options options, std::shared_ptr<Store> store, const Clock& clock)
      : options_(options), store_(std::move(store)), clock_(clock) {}
  void Adopt(Row row);
  void Publish(const TokenDigest& digest, LivePtr live);
  void Drop(const TokenDigest& digest);
  Result<> Reserve(const op::Principal& who) const;  // with mutex_
  std::vector<Store::Mark> Finish(const Target& target, Nanos wall, LivePtr* last);
  std::vector<Ended> Settle(std::vector<Store::Mark>& durable, std::vector<Store::Mark>& soon,
                            std::vector<std::pair<LivePtr, bool>>& locks);
  Part& PartOf(const TokenDigest& digest) { return parts_[digest[0] % kParts]; }
  Nanos SteadyNow() const {
    return clock_.SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
  }

  const Options options_;
  const std::shared_ptr<Store> store_;
  const Clock& clock_;
  std::function<void(const Ended&)> on_end_;
  std::function<void(const Live&)> on_open_;
  std::function<void(const Live&, bool)> on_lock_;

  std::array<Part, kParts> parts_;
  mutable std::mutex mutex_;
  std::map<std::string, Entry, std::less<>> by_id_;
  Revocations revocations_;
  GroupsSeen groups_;
  Names names_;
  Nanos swept_at_ = 0;
  std::string failure_;
};

}  // namespace sallyport::access
