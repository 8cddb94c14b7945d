#include "approval/request.h"

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

}  // namespace sallyport::approval
