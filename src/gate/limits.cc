// The step of the path that only sessions with limits take: which limit an operation uses up.
#include <algorithm>

#include "access/uses.h"
#include "gate/gate.h"
#include "policy/grant.h"

namespace sallyport::gate {
namespace {

/// The fewer of two numbers of rows, where 0 is any number.
uint64_t FewerRows(uint64_t a, uint64_t b) { return a == 0 || b == 0 ? a + b : std::min(a, b); }

void Refuse(op::Decision& decision, const op::Session& session, const Error& why) {
  decision.effect = op::Verdict::deny;
  decision.reason = why.code;
  decision.why = why.detail;
  decision.rules = {"grant:" + session.who.session};
}

Error UsedUp() { return {Errc::grant_exceeded, "the uses of the session's limits are used up"}; }

}  // namespace

void Gate::CheckLimits(const op::Session& session, op::Decision& decision) const {
  const bool left = std::ranges::any_of(decision.limits, [&](const op::LimitUse& limit) {
    return limit.uses == 0 || (options_.uses != nullptr &&
                               options_.uses->Used(session.who.session, limit.limit) < limit.uses);
  });
  if (!left) Refuse(decision, session, UsedUp());
}

boost::asio::awaitable<bool> Gate::UseLimit(const op::Session& session,
                                            const op::Operation& operation,
                                            op::Decision& decision) {
  uint64_t& rows = decision.obligations.max_rows;
  if (operation.method == "parse" || !policy::Grant::Counts(operation)) {
    for (const op::LimitUse& limit : decision.limits) rows = FewerRows(rows, limit.max_rows);
    co_return true;
  }
  Error why = UsedUp();
  for (const op::LimitUse& limit : decision.limits) {
    if (limit.uses != 0) {
      if (options_.uses == nullptr) continue;
      const Result<> used =
          co_await options_.uses->Take(session.who.session, limit.limit, limit.uses);
      if (!used && used.error().code == Errc::grant_exceeded) continue;
      if (!used) {
        why = used.error();
        break;
      }
    }
    // More rows of a portal are another result, as with FETCH.
    rows = FewerRows(rows, limit.max_rows);
    co_return true;
  }
  Refuse(decision, session, why);
  co_return false;
}

}  // namespace sallyport::gate
