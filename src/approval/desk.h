#pragma once

#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "approval/duties.h"
#include "approval/record.h"
#include "approval/request.h"
#include "base/clock.h"
#include "base/task.h"
#include "state/sealer.h"
#include "state/writer.h"

namespace sallyport::approval {

/// Where requests for approval lie until somebody decides. In memory for reading, written through
/// to the state before anything is told, recorded in the evidence log before it has an effect; a
/// restart finds everything again. Thread-safe; Tasks resume on the caller's executor.
///
/// How a front-end holds a call (the one way; the gate does the rest):
///
///     auto permit = co_await gate.Admit(session, operation);
///     if (!permit && permit.error().error.code == Errc::approval_required) {
///       // tell the caller: permit.error().approval_id, .approval_url, .approval_expires
///       auto state = co_await gate.desk()->Wait(permit.error().approval_id, deadline);
///       // approved: Admit again with the SAME operation; that redeems, once. It can be refused
///       //   again with approval_required and a new id (somebody else used it, the rules changed):
///       //   tell that, or wait again while time is left.
///       // withdrawn: Admit again as well: the rules may have changed, or the caller is cut off.
///       // denied, expired: answer approval_denied or approval_expired (Refuse(id) says it).
///       // pending: the deadline has come; the request stays. The same call finds it again.
///     }
///
/// Nothing goes upstream without the permit of that second Admit. A caller that goes away while it
/// waits leaves the request for the next attempt; a caller that says it gives up: Withdraw.
class Desk {
 public:
  struct Options {
    std::vector<Flow> flows;
    Persons persons;
    size_t open_per_caller = 20;  // pending and approved requests of one caller
    size_t filed_per_hour = 300;  // new requests of one caller
    size_t open_total = 100'000;
    /// Connection → digest of what stands behind it: who changes the target asks again.
    std::map<std::string, std::string> targets;
    std::string public_url;  // requests are at <public_url>/approvals/<id>
    /// Makes a text fit for being written down (mask::Seal); an empty payload where it cannot.
    std::function<op::Payload(std::string_view text, bool json)> mask;
  };
  /// One decision of a person.
  struct Ballot {
    op::Principal voter;
    bool approve = false;
    std::string reason;     // as written; masked before it is kept
    std::string digest;     // of what the voter was shown; must be the request's
    std::string assertion;  // a verified passkey assertion over the digest (JSON), or empty
  };
  struct Filter {
    std::optional<State> state;
    bool open_only = false;
    const op::Principal* requester = nullptr;  // only those of this account
    size_t limit = 1000;                       // the newest ones
  };

  /// Brings the tables up to date; before the Writer is made.
  static Result<> Migrate(state::Database& db);
  /// Loads what there is; blocks. The desk exists also when the state cannot be read: then every
  /// request is state_unavailable. `state` and what `recorder` writes to must outlive it.
  Desk(state::Writer& state, state::Sealer sealer, Recorder recorder, Options options,
       const Clock& clock = SystemClock());
  ~Desk();
  Desk(const Desk&) = delete;

  /// The request for this operation of this caller: the open one, the one that was denied and has
  /// not run out, or a new one, recorded and durable. limit_exceeded, state_unavailable,
  /// ledger_unavailable; config_invalid: no such flow.
  Task<Request> File(Filing filing);
  /// Completes as soon as the request is no longer pending, at the latest at `deadline`, with its
  /// state. not_found.
  Task<State> Wait(std::string id, std::chrono::steady_clock::time_point deadline);
  /// Uses an approved request up: exactly one caller ever succeeds, and it is durable then.
  /// `session`: log index of the session that runs it. approval_required (still pending),
  /// approval_denied, approval_expired, approval_closed (used, withdrawn), approval_mismatch.
  Task<> Redeem(std::string id, std::string digest, uint64_t session);
  /// A vote. approver_ineligible (the detail begins with the ObjectionName), approval_expired,
  /// approval_closed, approval_mismatch, request_malformed (no reason where one is required),
  /// not_found. Refusals are recorded too.
  Task<Request> Decide(std::string id, Ballot ballot);
  /// Records that somebody looked at it (once per person and request), or that approvers were told.
  Task<> Viewed(std::string id, op::Principal who);
  Result<> Notified(const std::string& id, const std::string& target, bool ok);

  /// The requester takes it back. approver_ineligible for others.
  Result<> Withdraw(const std::string& id, const op::Principal& who, const std::string& why);
  /// Withdraws all open requests of an account: its sessions are ended. How many.
  size_t EndOf(const std::string& issuer, const std::string& subject, const std::string& why);
  /// Withdraws what was asked under other rules than those of `policy_version`: it is asked again.
  size_t EndOthers(const std::string& policy_version);
  /// New flows and links of accounts (reload). Withdraws open requests whose flow is another now.
  void Configure(std::vector<Flow> flows, Persons persons, size_t open_per_caller,
                 size_t filed_per_hour);

  /// That this person is here now, with these groups: whoever becomes an approver later than a
  /// request was made cannot decide about it. Cheap; to be called when a session opens.
  void Saw(const op::Principal& who);
  /// Why `who` must not decide; nullopt: may, or not_found.
  std::optional<Objection> MayNot(const Request& request, const op::Principal& who) const;

  /// Whether both accounts are one person's, as far as the configuration and their names tell.
  bool OnePerson(const op::Principal& a, const op::Principal& b) const;

  std::optional<Request> Find(const std::string& id) const;
  std::vector<Request> List(const Filter& filter) const;  // newest first
  /// The exact arguments (binding.h) of an open request, to run it without its caller (tasks).
  Task<std::string> Exact(std::string id);
  /// What a front-end says when Wait came back with something else than approved or pending.
  Error Refuse(const std::string& id) const;
  std::string UrlOf(const std::string& id) const;
  /// Calls `f` after each change, on the thread that made it, without locks held. Before the desk
  /// is used by others.
  void OnChange(std::function<void(const Request&)> f);
  /// Expires what is over, forgets what ended long ago. About once a second.
  void Tick();

  struct Counts {
    size_t pending = 0, approved = 0;
  };
  Counts counts() const;

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sallyport::approval
