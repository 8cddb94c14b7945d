// The step of the path that only held operations take: which approvals they need, and using them
// up.
#include <algorithm>
#include <utility>

#include "approval/binding.h"
#include "approval/desk.h"
#include "gate/gate.h"
#include "gate/rate.h"
#include "gate/shown.h"
#include "policy/unmask.h"

namespace sallyport::gate {
namespace {

/// The request that an operation needs of one flow; the same one again until it is used.
approval::Filing FilingOf(const op::Session& session, const op::Operation& operation,
                          const std::string& policy_version, const op::Refusal& refusal) {
  return {.flow = {},
          .requester = session.who,
          .session = session.entry,
          .connection = std::string(operation.connection),
          .verb = operation.verb,
          .method = std::string(operation.method),
          .resource = std::string(operation.resource),
          .effect = operation.effect,
          .exact = approval::ExactOf(operation),
          .shown = Shown(operation),
          .policy_version = policy_version,
          .decision_id = refusal.decision_id,
          .rules = refusal.decision.rules,
          .why = refusal.decision.why,
          .unmask = {}};
}

/// What is left of the time in which values may be shown.
Nanos Left(const approval::Request& request, const op::UnmaskTerms& terms, Nanos now) {
  return std::min(terms.ttl, approval::ApprovedAt(request) + terms.ttl - now);
}

}  // namespace

Result<Gate::Wanted> Gate::WantedOf(const op::Principal& who, const op::UnmaskAsk& ask) const {
  const auto grants = unmask_.load();
  const policy::UnmaskGrant* grant =
      grants == nullptr ? nullptr : policy::FindUnmaskGrant(*grants, who, ask);
  if (grant == nullptr)
    return Fail(Errc::unmask_denied, "no grant shows these values to this caller");
  if (policy::UnmaskPerson(who).empty())
    return Fail(Errc::unmask_denied, "no person is named who would see the values");
  return Wanted{
      .terms = {.detectors = ask.detectors,
                .max_values = grant->max_values,
                .ttl = std::chrono::duration_cast<std::chrono::nanoseconds>(grant->ttl).count(),
                .reason = ask.reason},
      .flow = grant->approval};
}

Task<Gate::Licence> Gate::Approve(const op::Session& session, const op::Operation& operation,
                                  const std::string& policy_version, const Wanted* wanted,
                                  op::Refusal& refusal) {
  op::Decision& decision = refusal.decision;
  approval::Desk& desk = *options_.desk;
  std::vector<std::string> flows;
  if (!decision.approval.empty()) flows.push_back(decision.approval);
  if (wanted != nullptr && wanted->flow != decision.approval) flows.push_back(wanted->flow);
  // A second time only if somebody else used the approval between our finding and our using it, or
  // if the time for showing values was over.
  for (int attempt = 0;; ++attempt) {
    std::vector<approval::Request> found;
    Nanos left = 0;
    for (const std::string& flow : flows) {
      approval::Filing filing = FilingOf(session, operation, policy_version, refusal);
      filing.flow = flow;
      if (wanted != nullptr) filing.unmask = wanted->terms;
      SALLYPORT_CO_TRY(approval::Request request, co_await desk.File(std::move(filing)));
      decision.approval = flow;
      refusal.approval_id = request.id;
      refusal.approval_url = desk.UrlOf(request.id);
      refusal.approval_expires = request.expires;
      if (request.state == approval::State::pending)
        co_return Fail(Errc::approval_required, decision.why);
      if (request.state != approval::State::approved)
        co_return std::unexpected(desk.Refuse(request.id));
      found.push_back(std::move(request));
    }
    if (wanted != nullptr) {
      left = Left(found.back(), wanted->terms, clock_.WallNow());
      if (left <= 0) {
        SALLYPORT_CO_CHECK(desk.Withdraw(found.back().id, session.who,
                                         "the time for showing values in clear was over"));
        if (attempt > 0) co_return Fail(Errc::approval_expired);
        continue;
      }
    }
    if (!decision.obligations.rates.empty()) {
      refusal.retry_after_seconds =
          rates_->Take(CallerKey(session.who), decision.obligations.rates, clock_.WallNow());
      if (refusal.retry_after_seconds > 0) co_return Fail(Errc::rate_limited);  // not used up
    }
    Result<> used;
    for (const approval::Request& request : found) {
      used = co_await desk.Redeem(request.id, request.digest, session.entry);
      if (!used) break;
    }
    if (used) {
      if (wanted == nullptr) co_return nullptr;
      const op::UnmaskTerms& terms = wanted->terms;
      co_return std::make_unique<const op::UnmaskLicence>(
          terms.detectors, terms.max_values, clock_.WallNow() + left,
          clock_.SteadyNow() + std::chrono::nanoseconds(left));
    }
    if (used.error().code != Errc::approval_closed || attempt > 0)
      co_return std::unexpected(used.error());
  }
}

}  // namespace sallyport::gate
