#pragma once

#include <memory>
#include <string>

#include "op/evidence.h"

namespace sallyport::mask {

/// The tests' stand-in for the masking engine, which stands beside this folder and is not linked
/// here.
class Seal {
 public:
  static MaskedText Of(std::string text) { return MaskedText(std::move(text)); }
};

}  // namespace sallyport::mask

namespace sallyport::ledger {

inline op::Payload TestPayload(std::string text, bool json) {
  op::Payload payload;
  payload.json = json;
  payload.total_bytes = text.size();
  payload.text = mask::Seal::Of(std::move(text));
  return payload;
}

inline std::unique_ptr<op::Session> TestSession() {
  auto session = std::make_unique<op::Session>();
  session->id = "s_test";
  session->who.issuer = "https://idp.example.com";
  session->who.subject = "agent-1";
  session->who.name = "Refund agent";
  session->who.groups = {"agents", "refunds"};
  session->who.agent = "agent-refunds";
  session->who.owner = "group:payments-platform";
  session->from = {"10.0.0.7", "test-client 1.0"};
  session->connection = "payments";
  session->front_end = "mcp";
  session->protocol = "2025-11-25";
  return session;
}

inline op::Evidence TestIntent(uint64_t session, const std::string& tool,
                               const std::string& arguments) {
  op::Evidence e;
  e.type = op::EventType::call_intent;
  e.at = 1'795'200'001'000'000'000;
  e.session = session;
  e.operation = 1;
  e.connection = "payments";
  e.method = "tools/call";
  e.resource = tool;
  e.decision_id = "d_intent";
  e.verdict = op::Verdict::allow;
  e.rules = {"refunds"};
  e.policy_version = "0123456789abcdef";
  e.request = TestPayload(arguments, true);
  return e;
}

}  // namespace sallyport::ledger
