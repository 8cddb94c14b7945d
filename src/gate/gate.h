#pragma once

#include <atomic>
#include <expected>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "op/decision.h"
#include "op/evidence.h"
#include "op/operation.h"
#include "op/session.h"

namespace sallyport::access {
class Uses;
}
namespace sallyport::approval {
class Desk;
}
namespace sallyport::ledger {
class Ledger;
}
namespace sallyport::policy {
class RuleSet;
struct UnmaskGrant;
}  // namespace sallyport::policy

namespace sallyport::gate {

class Gate;
class RateLimiter;

/// Proof that one operation was decided and its intent recorded. Only Gate::Admit makes one; no
/// upstream can be called without one (McpUpstream takes `const Permit&`). Move-only; one that is
/// dropped unsettled records `call.abandoned`. Lives on one thread.
class [[nodiscard]] Permit {
 public:
  Permit(Permit&& other) noexcept;
  Permit& operator=(Permit&&) = delete;
  ~Permit();

  const op::Obligations& obligations() const { return obligations_; }
  const std::string& decision_id() const { return decision_id_; }
  uint64_t recorded_at() const { return intent_; }  // log index of the intent
  const op::Session& session() const { return *session_; }
  std::shared_ptr<const op::Session> shared_session() const { return session_; }
  /// What the answer may show in clear; null (nearly always): nothing.
  const op::UnmaskLicence* licence() const { return licence_.get(); }

 private:
  friend class Gate;
  Permit(Gate& gate, std::shared_ptr<const op::Session> session, uint64_t intent,
         std::string decision_id, op::Obligations obligations, bool strict, Nanos begun,
         std::unique_ptr<const op::UnmaskLicence> licence);

  Gate* gate_;  // null once settled or moved from
  std::shared_ptr<const op::Session> session_;
  uint64_t intent_;
  std::string decision_id_;
  op::Obligations obligations_;
  bool strict_;
  Nanos begun_;
  std::unique_ptr<const op::UnmaskLicence> licence_;
};

/// A decision that is remembered for the next time the same session asks for the same statement.
/// The policy is a pure function of rules, principal and operation, so the Gate uses it again as
/// long as all of them are the same; rates are counted each time. Owned by the asker, one thread.
class Memo {
 public:
  Memo() = default;

 private:
  friend class Gate;
  bool Fits(const policy::RuleSet* rules, const op::Session* session,
            const op::Operation& operation) const;

  std::shared_ptr<const policy::RuleSet> rules_;
  std::shared_ptr<const op::Session> session_;
  std::shared_ptr<const op::SqlText> statement_;
  std::string connection_, resource_;
  op::Decision decision_;
};

/// What came back, as it is about to be released.
struct Settlement {
  bool ok = true;
  std::string code;  // of the protocol's error, when not ok
  std::optional<Errc> reason =
      std::nullopt;    // of ours, when the gateway withheld or refused the answer
  op::Payload result;  // masked, also where the client gets some of it in clear
  std::vector<op::MaskCount> masked;
  /// Of an operation with a licence: what the client is about to get in clear.
  std::optional<op::Unmasked> unmasked = std::nullopt;
};

/// THE path. The order of the security steps of every operation is written in gate.cc and nowhere
/// else: decide, (approve,) record the intent, hand out the permit; and on the way back record the
/// outcome before anything is released. If the ledger cannot record, nothing is admitted and
/// nothing released (I1).
///
/// One Gate serves all shards: its methods are thread-safe. The ledger must outlive it.
class Gate {
 public:
  struct Options {
    bool always_strict =
        false;  // evidence.durability: strict; writes are recorded strictly in any case
    /// Where operations wait that a rule holds for approval; must outlive the Gate. Null: such an
    /// operation is refused with approval_required, and nobody can approve it.
    approval::Desk* desk = nullptr;
    /// Where the uses of sessions with limits are counted; must outlive the Gate. Null: what is
    /// counted is refused.
    access::Uses* uses = nullptr;
    std::string public_url;  // where people step up; no slash at the end
  };
  Gate(ledger::Ledger& ledger, std::shared_ptr<const policy::RuleSet> rules, Options options,
       const Clock& clock = SystemClock());
  ~Gate();
  Gate(const Gate&) = delete;

  /// Records who came and from where; every operation needs a session. Sets id, opened_at and
  /// entry. ledger_unavailable if it cannot be recorded.
  Task<std::shared_ptr<const op::Session>> Open(std::unique_ptr<op::Session> session);
  /// Records the end with the number of operations; `detail`: names and figures of ours. Never fails
  /// the caller.
  void Close(const op::Session& session, std::string detail = {});

  /// Decides, records, permits. The refusal is recorded too, before it is returned. `memo` (may be
  /// null) saves deciding again what was decided before; operations with a `statement` only.
  ///
  /// An operation that a rule holds for approval: an approval of exactly this operation by this
  /// caller under these rules is used up, durably, and the permit given; else there is a request
  /// for one from here on, and the refusal (approval_required) carries its id, URL and end. Refused
  /// by an approver: approval_denied, until the request would have ended. How to wait:
  /// approval/desk.h.
  ///
  /// An operation that asks for values in clear (`unmask`) and that the rules do not deny needs an
  /// approval by the flow of a grant (SetUnmask) that covers it; the permit then has a licence.
  /// unmask_denied where there is no grant, or no person who would see the values. Of an operation
  /// that is only part of one (a Parse, the rest of a portal) the wish is ignored: it gets none.
  boost::asio::awaitable<std::expected<Permit, op::Refusal>> Admit(
      std::shared_ptr<const op::Session> session, const op::Operation& operation,
      Memo* memo = nullptr);
  /// Records something that is released before the end of a permitted operation (a progress
  /// notification, a question to the client and its answer). Not recorded, not released.
  Result<> Note(const Permit& permit, std::string_view what, op::Payload payload,
                std::vector<op::MaskCount> masked);
  /// Records the outcome. The result may be released only when this has succeeded.
  Task<> Settle(Permit permit, Settlement settlement);

  /// Records an event outside an operation: a refused credential, a malformed request, a changed
  /// tool. `at` is filled in. ledger_unavailable if it cannot be recorded.
  Result<> Record(op::Evidence evidence);

  /// Where held operations wait; null where approvals are off.
  approval::Desk* desk() const { return options_.desk; }
  const access::Uses* uses() const { return options_.uses; }

  /// The rules in force now, for filtering lists. A decision always uses one snapshot throughout.
  std::shared_ptr<const policy::RuleSet> rules() const;
  /// Swaps the rules (reload) and records the new version.
  Result<> Replace(std::shared_ptr<const policy::RuleSet> rules);

  /// `masking.unmask` from here on; none before.
  void SetUnmask(std::vector<policy::UnmaskGrant> grants);

  /// False once the ledger has failed: service has stopped.
  bool healthy() const;

  /// From here on nothing is admitted: it is refused, and recorded, as ledger_unavailable with
  /// `why`. For what the evidence needs beside the ledger, as witnesses. Empty: goes on again.
  void Suspend(std::string why);

 private:
  std::string HowToStepUp(const op::Principal& who) const;
  friend class Permit;
  /// What has to be approved about values in clear.
  struct Wanted {
    op::UnmaskTerms terms;
    std::string flow;
  };
  using Licence = std::unique_ptr<const op::UnmaskLicence>;
  /// What an operation that asks for values in clear needs; unmask_denied.
  Result<Wanted> WantedOf(const op::Principal& who, const op::UnmaskAsk& ask) const;
  /// Of an operation that needs approval: the approvals that have been used up for it (that of the
  /// rule, that of `wanted`, one if it is the same flow), or why not; the refusal's approval
  /// members are filled in. The licence is null without `wanted`.
  Task<Licence> Approve(const op::Session& session, const op::Operation& operation,
                        const std::string& policy_version, const Wanted* wanted,
                        op::Refusal& refusal);
  /// Of a session with limits, before anybody is asked: nobody approves what could not run then.
  void CheckLimits(const op::Session& session, op::Decision& decision) const;
  /// Of a session with limits: the first limit that covers the operation and has a use left is
  /// used, durably, and its rows are the most. False: there is none, and `decision` says so. A
  /// statement that is only prepared uses nothing.
  boost::asio::awaitable<bool> UseLimit(const op::Session& session, const op::Operation& operation,
                                        op::Decision& decision);
  static op::Decision Decide(const policy::RuleSet& rules, const op::Principal& who,
                             const op::Operation& operation);
  void Abandon(const Permit& permit) noexcept;
  Result<uint64_t> Write(op::Evidence& evidence);
  Task<uint64_t> WriteFor(op::Evidence& evidence, bool strict);

  ledger::Ledger& ledger_;
  std::atomic<std::shared_ptr<const policy::RuleSet>> rules_;
  std::atomic<std::shared_ptr<const std::vector<policy::UnmaskGrant>>> unmask_;
  std::atomic<bool> suspended_ = false;
  std::atomic<std::shared_ptr<const std::string>> why_suspended_;
  const Options options_;
  const Clock& clock_;
  std::unique_ptr<RateLimiter> rates_;
};

}  // namespace sallyport::gate
