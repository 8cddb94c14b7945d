#include "gate/gate.h"

#include <utility>

#include "approval/desk.h"
#include "base/ids.h"
#include "gate/rate.h"
#include "gate/shown.h"
#include "ledger/entry.h"
#include "ledger/writer.h"
#include "policy/rules.h"
#include "policy/step_up.h"
#include "policy/unmask.h"

namespace sallyport::gate {
namespace {

using op::EventType;
using op::Evidence;

/// Writes are recorded so that a power cut cannot lose them; reads as the configuration says.
bool NeedsStrict(const op::Operation& operation) { return operation.effect > op::Effect::read; }

/// A rule's approval is asked for once, where the whole is known: not for a statement that is only
/// prepared, which runs nothing and has no parameters yet, nor for the rest of the rows of a portal
/// that was let through. Everything else that rules say holds for each step.
bool IsWhole(const op::Operation& operation) {
  return operation.verb != op::Verb::sql ||
         (operation.method != "parse" && operation.method != "execute");
}

/// What an intent and a denial have in common: who asked what, and what was decided.
Evidence Describe(EventType type, const op::Session& session, const op::Operation& operation,
                  const op::Decision& decision, uint64_t number) {
  Evidence e;
  e.type = type;
  e.session = session.entry;
  e.operation = number;
  e.connection = operation.connection;
  e.method = operation.method;
  e.resource = operation.resource;
  e.trace = operation.trace;
  e.verdict = decision.effect;
  e.rules = decision.rules;
  if (!operation.recorded_arguments.empty()) e.request = Shown(operation);
  e.masked = operation.masked;
  return e;
}

Result<> Keep(ledger::Ledger& ledger, Evidence& e, const op::Session& session) {
  return ledger.payloads() == nullptr ? Result<>() : ledger.payloads()->Keep(e, session);
}

}  // namespace

Permit::Permit(Gate& gate, std::shared_ptr<const op::Session> session, uint64_t intent,
               std::string decision_id, op::Obligations obligations, bool strict, Nanos begun,
               std::unique_ptr<const op::UnmaskLicence> licence)
    : gate_(&gate),
      session_(std::move(session)),
      intent_(intent),
      decision_id_(std::move(decision_id)),
      obligations_(std::move(obligations)),
      strict_(strict),
      begun_(begun),
      licence_(std::move(licence)) {}

Permit::Permit(Permit&& other) noexcept
    : gate_(std::exchange(other.gate_, nullptr)),
      session_(std::move(other.session_)),
      intent_(other.intent_),
      decision_id_(std::move(other.decision_id_)),
      obligations_(std::move(other.obligations_)),
      strict_(other.strict_),
      begun_(other.begun_),
      licence_(std::move(other.licence_)) {}

Permit::~Permit() {
  if (gate_ != nullptr) gate_->Abandon(*this);
}

Gate::Gate(ledger::Ledger& ledger, std::shared_ptr<const policy::RuleSet> rules, Options options,
           const Clock& clock)
    : ledger_(ledger),
      rules_(std::move(rules)),
      options_(options),
      clock_(clock),
      rates_(std::make_unique<RateLimiter>()) {}

Gate::~Gate() = default;

Task<std::shared_ptr<const op::Session>> Gate::Open(std::unique_ptr<op::Session> session) {
  session->id = NewId("s_");
  session->opened_at = clock_.WallNow();
  Evidence e;
  e.type = EventType::auth_success;
  e.opened = session.get();
  e.connection = session->connection;
  SALLYPORT_CO_TRY(session->entry, Write(e));
  if (options_.desk != nullptr) options_.desk->Saw(session->who);
  co_return std::shared_ptr<const op::Session>(std::move(session));
}

void Gate::Close(const op::Session& session, std::string detail) {
  Evidence e;
  e.type = EventType::session_close;
  e.session = session.entry;
  e.count = session.operations.load();
  e.detail = std::move(detail);
  if (ledger_.payloads() != nullptr) ledger_.payloads()->Forget(session);
  (void)Write(e);  // the ledger's failure is its own alarm; nobody waits for an answer here
}

/// Where the person of a session signs in anew, so that it goes on; of a provider's token the
/// client gets another.
std::string Gate::HowToStepUp(const op::Principal& who) const {
  if (!who.agent.empty() && who.session.empty()) return "";
  if (who.session.empty()) return ": get a token of a fresh sign-in";
  return ": sign in again at " + options_.public_url + "/unlock?mfa&session=" + who.session +
         ", then go on";
}

bool Memo::Fits(const policy::RuleSet* rules, const op::Session* session,
                const op::Operation& operation) const {
  return rules_.get() == rules && session_.get() == session && statement_ &&
         statement_ == operation.statement && connection_ == operation.connection &&
         resource_ == operation.resource && operation.verb == op::Verb::sql &&
         operation.known.complete && !operation.objection;
}

op::Decision Gate::Decide(const policy::RuleSet& rules, const op::Principal& who,
                          const op::Operation& operation) {
  op::Decision decision;
  if (operation.statement) {
    op::Operation with = operation;
    with.sql.push_back(*operation.statement);
    decision = rules.Decide(who, with);
  } else {
    decision = rules.Decide(who, operation);
  }
  if (operation.objection && decision.effect != op::Verdict::deny) {
    decision.effect = op::Verdict::deny;
    decision.reason = operation.objection->code;
    decision.why = operation.objection->detail;
  }
  return decision;
}

boost::asio::awaitable<std::expected<Permit, op::Refusal>> Gate::Admit(
    std::shared_ptr<const op::Session> session, const op::Operation& operation, Memo* memo) {
  const std::shared_ptr<const policy::RuleSet> rules = rules_.load();
  const Nanos begun = clock_.WallNow();
  const uint64_t number = session->operations.fetch_add(1) + 1;

  // 1. Decide.
  op::Refusal refusal;
  if (memo != nullptr && memo->Fits(rules.get(), session.get(), operation)) {
    refusal.decision = memo->decision_;
  } else {
    refusal.decision = Decide(*rules, session->who, operation);
    if (memo != nullptr && operation.statement && operation.known.complete &&
        !operation.objection) {
      memo->rules_ = rules, memo->session_ = session, memo->statement_ = operation.statement;
      memo->connection_ = operation.connection, memo->resource_ = operation.resource;
      memo->decision_ = refusal.decision;
    }
  }
  op::Decision& decision = refusal.decision;
  if (suspended_.load(std::memory_order_relaxed) && decision.effect != op::Verdict::deny) {
    const auto why = why_suspended_.load();
    decision.effect = op::Verdict::deny;
    decision.reason = Errc::ledger_unavailable;
    decision.why = why ? *why : std::string();
    decision.message.clear();
  }
  if (ledger_.payloads() != nullptr && decision.effect != op::Verdict::deny) {
    // What the answer needs must be there before anything is done for it.
    if (std::string failure = ledger_.payloads()->failure(); !failure.empty()) {
      decision.effect = op::Verdict::deny;
      decision.reason = Errc::recording_unavailable;
      decision.why = std::move(failure);
      decision.message.clear();
    }
  }
  std::optional<Wanted> wanted;
  if (operation.unmask != nullptr && decision.effect != op::Verdict::deny && IsWhole(operation)) {
    Result<Wanted> found = WantedOf(session->who, *operation.unmask);
    if (found) {
      wanted = std::move(*found);
      if (decision.effect == op::Verdict::allow) decision.why = "values are asked for in clear";
      decision.effect = op::Verdict::approve;
      decision.reason = Errc::approval_required;
    } else {
      decision.effect = op::Verdict::deny;
      decision.reason = found.error().code;
      decision.why = found.error().detail;
    }
  }
  if (decision.effect != op::Verdict::deny && decision.obligations.step_up.any()) {
    const auto strong = policy::CheckStepUp(decision.obligations.step_up, session->who,
                                            rules->second_factors(), begun);
    if (!strong) {
      decision.effect = op::Verdict::deny;
      decision.reason = strong.error().code;
      decision.why = strong.error().detail + HowToStepUp(session->who);
      decision.message.clear();
    }
  }
  if (decision.effect == op::Verdict::allow && !decision.obligations.rates.empty()) {
    refusal.retry_after_seconds =
        rates_->Take(CallerKey(session->who), decision.obligations.rates, begun);
    if (refusal.retry_after_seconds > 0) {
      decision.effect = op::Verdict::deny;
      decision.reason = Errc::rate_limited;
    }
  }
  refusal.decision_id = NewId("d_");
  if (decision.effect == op::Verdict::approve && !IsWhole(operation))
    decision.effect = op::Verdict::allow;
  const bool limited = !decision.limits.empty() && decision.effect != op::Verdict::deny;
  if (limited && decision.effect == op::Verdict::approve) CheckLimits(*session, decision);
  bool allowed = decision.effect == op::Verdict::allow;
  Licence licence;
  if (decision.effect == op::Verdict::approve && options_.desk != nullptr) {
    auto used = co_await Approve(*session, operation, rules->version(), wanted ? &*wanted : nullptr,
                                 refusal);
    if (used) {
      allowed = true;
      licence = std::move(*used);
    } else {
      decision.reason = used.error().code;
      decision.why = used.error().detail;
    }
  }
  if (limited && allowed) allowed = co_await UseLimit(*session, operation, decision);

  // 2. Record the intent (or the refusal). No evidence, no access.
  Evidence e = Describe(allowed ? EventType::call_intent : EventType::call_denied, *session,
                        operation, decision, number);
  e.decision_id = refusal.decision_id;
  e.approval_id = refusal.approval_id;
  e.policy_version = rules->version();
  if (!allowed) e.reason = decision.reason;
  if (wanted) e.unmask = &wanted->terms;
  if (licence) e.unmask_until = licence->until;
  const bool strict = NeedsStrict(operation) || decision.effect == op::Verdict::approve;
  const Result<> kept = Keep(ledger_, e, *session);
  const Result<uint64_t> recorded =
      kept ? co_await WriteFor(e, strict && allowed) : std::unexpected(kept.error());
  if (!recorded) {
    refusal.error = recorded.error();
    refusal.decision_id.clear();
    refusal.decision = {};
    co_return std::unexpected(std::move(refusal));
  }
  if (!allowed) {
    refusal.error = Error(decision.reason, decision.why);
    co_return std::unexpected(std::move(refusal));
  }

  // 3. Permit.
  co_return Permit(*this, std::move(session), *recorded, std::move(refusal.decision_id),
                   std::move(decision.obligations), strict, begun, std::move(licence));
}

Result<> Gate::Note(const Permit& permit, std::string_view what, op::Payload payload,
                    std::vector<op::MaskCount> masked) {
  Evidence e;
  e.type = EventType::call_event;
  e.session = permit.session_->entry;
  e.intent = permit.intent_;
  e.method = what;
  e.result = std::move(payload);
  e.masked = std::move(masked);
  SALLYPORT_CHECK(Keep(ledger_, e, *permit.session_));
  SALLYPORT_CHECK(Write(e));
  return {};
}

Task<> Gate::Settle(Permit permit, Settlement settlement) {
  Evidence e;
  e.type = EventType::call_outcome;
  e.session = permit.session_->entry;
  e.intent = permit.intent_;
  e.ok = settlement.ok;
  e.code = std::move(settlement.code);
  e.reason = settlement.reason;
  e.result = std::move(settlement.result);
  e.masked = std::move(settlement.masked);
  e.unmasked = settlement.unmasked;
  e.duration_us = static_cast<uint64_t>((clock_.WallNow() - permit.begun_) / 1000);
  SALLYPORT_CO_CHECK(Keep(ledger_, e, *permit.session_));
  const Result<uint64_t> recorded = co_await WriteFor(e, permit.strict_);
  if (!recorded)
    co_return std::unexpected(recorded.error());  // the permit stays open and is abandoned
  permit.gate_ = nullptr;
  co_return Result<>{};
}

Result<> Gate::Record(op::Evidence evidence) {
  SALLYPORT_CHECK(Write(evidence));
  return {};
}

std::shared_ptr<const policy::RuleSet> Gate::rules() const { return rules_.load(); }

Result<> Gate::Replace(std::shared_ptr<const policy::RuleSet> rules) {
  Evidence e;
  e.type = EventType::config_loaded;
  e.policy_version = rules->version();
  e.count = rules->size();
  SALLYPORT_CHECK(Write(e));
  const std::string version = rules->version();
  rules_.store(std::move(rules));
  if (options_.desk != nullptr) options_.desk->EndOthers(version);
  return {};
}

void Gate::SetUnmask(std::vector<policy::UnmaskGrant> grants) {
  unmask_.store(std::make_shared<const std::vector<policy::UnmaskGrant>>(std::move(grants)));
}

void Gate::Suspend(std::string why) {
  const bool suspended = !why.empty();
  why_suspended_.store(std::make_shared<const std::string>(std::move(why)));
  suspended_.store(suspended, std::memory_order_relaxed);
}

bool Gate::healthy() const { return ledger_.healthy(); }

void Gate::Abandon(const Permit& permit) noexcept {
  try {
    Evidence e;
    e.type = EventType::call_abandoned;
    e.session = permit.session_->entry;
    e.intent = permit.intent_;
    e.ok = false;
    e.duration_us = static_cast<uint64_t>((clock_.WallNow() - permit.begun_) / 1000);
    (void)Write(e);
  } catch (
      ...) {  // out of memory while unwinding: the missing outcome itself is visible in the log
  }
}

Result<uint64_t> Gate::Write(Evidence& evidence) {
  evidence.at = clock_.WallNow();
  return ledger_.Append(ledger::EncodeEntry(evidence));
}

Task<uint64_t> Gate::WriteFor(Evidence& evidence, bool strict) {
  evidence.at = clock_.WallNow();
  // Under pressure those who can wait do: a full queue would refuse them.
  if (strict || options_.always_strict || ledger_.pressed())
    return ledger_.AppendStrict(ledger::EncodeEntry(evidence));
  return ledger_.AppendSoon(ledger::EncodeEntry(evidence));
}

}  // namespace sallyport::gate
