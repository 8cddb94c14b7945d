#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "op/decision.h"
#include "op/evidence.h"
#include "op/operation.h"
#include "op/session.h"
#include "op/unmask.h"

namespace sallyport::approval {

/// The life of a request. pending → approved → redeemed is the good one; all but pending and
/// approved are ends. The names (StateName) are stored, logged and shown.
enum class State : uint8_t { pending, approved, denied, expired, withdrawn, redeemed };
std::string_view StateName(State state);
std::optional<State> ParseState(std::string_view name);

/// Who decides, and how: `approvals[]` of the configuration.
struct Flow {
  std::string name;
  std::vector<std::string> approvers;  // "group:x", "user:x", as in the `who` of a rule
  uint32_t need = 1;                   // persons
  bool reason_required = false;
  std::chrono::milliseconds ttl{900'000};  // from the request to its use
};

/// One decision about a request, as recorded.
struct Vote {
  op::Principal voter;
  bool approve = false;
  std::string reason;  // masked
  Nanos at = 0;
  std::string assertion;  // verified WebAuthn assertion (JSON), or empty
  uint64_t entry = 0;     // log index of approval.decided
};

/// A request for approval, copied out of the desk. Everything but state, closed and votes never
/// changes.
struct Request {
  std::string id;  // "a_…"
  std::string flow;
  uint32_t need = 1;
  bool reason_required = false;
  std::vector<std::string> approvers;
  op::Principal requester;
  uint64_t session = 0;  // log index of the requester's session
  std::string connection;
  std::string target;  // digest of what stood behind the connection: address, database, credential
  op::Verb verb = op::Verb::protocol;
  std::string method, resource;
  op::Effect effect = op::Effect::none;
  op::Payload shown;      // the arguments, masked: JSON, or text where they were cut
  std::string arguments;  // keyed digest of the exact arguments (state::Sealer::Digest)
  std::string digest;     // hex SHA-256 of Binding(): what is decided about, and what is signed
  std::string policy_version, decision_id;
  std::vector<std::string> rules;
  std::string why;
  std::optional<op::UnmaskTerms> unmask;  // values that the answer is to show in clear
  Nanos created = 0, expires = 0;
  uint64_t entry = 0;  // log index of approval.requested

  State state = State::pending;
  Nanos closed = 0;         // when it came to its end
  std::string end_reason;   // of withdrawn and expired, for people
  std::vector<Vote> votes;  // in order

  bool open() const { return state == State::pending || state == State::approved; }
};

/// When the last of the approving votes came; 0: none has.
Nanos ApprovedAt(const Request& request);

/// What the gate files: one operation that a rule holds for approval.
struct Filing {
  std::string flow;
  op::Principal requester;
  uint64_t session = 0;
  std::string connection;
  op::Verb verb = op::Verb::protocol;
  std::string method, resource;
  op::Effect effect = op::Effect::none;
  std::string exact;  // binding.h: ExactOf; may hold card numbers, kept sealed only
  op::Payload shown;
  std::string policy_version, decision_id;
  std::vector<std::string> rules;
  std::string why;
  std::optional<op::UnmaskTerms> unmask;
};

}  // namespace sallyport::approval
