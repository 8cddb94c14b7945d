#include "approval/request.h"

#include <algorithm>
#include <array>

namespace sallyport::approval {

std::string_view StateName(State state) {
  switch (state) {
    case State::pending:
      return "pending";
    case State::approved:
      return "approved";
    case State::denied:
      return "denied";
    case State::expired:
      return "expired";
    case State::withdrawn:
      return "withdrawn";
    case State::redeemed:
      return "redeemed";
  }
  return "withdrawn";
}

std::optional<State> ParseState(std::string_view name) {
  for (const State state : std::array{State::pending, State::approved, State::denied,
                                      State::expired, State::withdrawn, State::redeemed}) {
    if (StateName(state) == name) return state;
  }
  return std::nullopt;
}

Nanos ApprovedAt(const Request& request) {
  Nanos at = 0;
  for (const Vote& vote : request.votes) {
    if (vote.approve) at = std::max(at, vote.at);
  }
  return at;
}

}  // namespace sallyport::approval
