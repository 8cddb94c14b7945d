#include "mcp/to_wire.h"

#include "json/document.h"
#include "mcp/client_message.h"
#include "mcp/upstream.h"

namespace sallyport::mcp {
namespace {

struct Row {
  int status;
  int code;
  std::string_view text;
};

Row RowOf(Errc code) {
  switch (code) {
    case Errc::token_missing:
      return {401, kUnauthorized, "A bearer token is required."};
    case Errc::token_malformed:
    case Errc::token_alg_refused:
    case Errc::token_key_unknown:
    case Errc::token_signature_invalid:
    case Errc::token_issuer_unknown:
    case Errc::token_audience_wrong:
    case Errc::token_expired:
    case Errc::token_not_yet_valid:
    case Errc::token_type_wrong:
    case Errc::token_claims_invalid:
    case Errc::token_inactive:
    case Errc::token_proof_invalid:
    case Errc::token_used:
      return {401, kUnauthorized, "The bearer token is not accepted."};
    case Errc::identity_provider_down:
      return {503, kInternalError, "The identity provider cannot be reached."};
    case Errc::identity_incomplete:
      return {200, kDenied, "Your groups are not completely known, so the call is refused."};
    case Errc::policy_default_deny:
      return {200, kDenied, "No rule allows this."};
    case Errc::rule_deny:
      return {200, kDenied, "Blocked by policy."};
    case Errc::grant_exceeded:
      return {
          200, kDenied,
          "The session was opened with limits, and this is outside of them. Its person can sign "
          "in again with other limits."};
    case Errc::approval_required:
      return {200, kDenied, "This needs an approval."};
    case Errc::approval_denied:
      return {200, kDenied, "An approver said no."};
    case Errc::approval_expired:
      return {200, kDenied, "Nobody approved this in time."};
    case Errc::approval_closed:
      return {200, kDenied, "The approval was used or withdrawn."};
    case Errc::approval_mismatch:
      return {200, kDenied, "The approval is for something else."};
    case Errc::unmask_denied:
      return {200, kDenied, "Nothing can be shown in clear here."};
    case Errc::approver_ineligible:
      return {403, kDenied, "You may not decide about this request."};
    case Errc::mfa_required:
      return {200, kDenied, "The person has to sign in again."};
    case Errc::passkey_required:
    case Errc::passkey_invalid:
      return {403, kDenied, "A passkey has to confirm this."};
    case Errc::rate_limited:
      return {429, kLimited, "Too many calls: try again later."};
    case Errc::sql_unparsable:
      return {200, kDenied, "The SQL text cannot be read, so it is refused."};
    case Errc::sql_not_maskable:
    case Errc::sql_state_refused:
      return {200, kDenied, "The SQL cannot be answered without showing what is protected."};
    case Errc::rows_exceeded:
      return {200, kDenied, "The answer has more rows than the rules let through."};
    case Errc::identity_mismatch:
      return {401, kUnauthorized, "The name is not the caller's own."};
    case Errc::session_locked:
      return {403, kUnauthorized, "The session is locked: unlock it in the browser."};
    case Errc::session_ended:
      return {401, kUnauthorized, "The session has ended."};
    case Errc::login_stale:
    case Errc::login_pending:
    case Errc::login_slow_down:
    case Errc::login_denied:
    case Errc::login_expired:
    case Errc::login_code_unknown:
      return {401, kUnauthorized, "Sign in."};
    case Errc::connection_unknown:
      return {404, kInvalidRequest, "No such connection."};
    case Errc::upstream_credential_failed:
      return {502, kInternalError, "The gateway has no credential for the upstream now."};
    case Errc::upstream_link_needed:
      return {200, kDenied, "Your own account has to be linked to this connection first."};
    case Errc::upstream_login_failed:
      return {502, kInternalError, "The upstream did not let the gateway in."};
    case Errc::argument_unclassifiable:
      return {200, kDenied, "The arguments cannot be judged, so the call is refused."};
    case Errc::tool_unknown:
      return {200, kInvalidParams, "Unknown tool"};
    case Errc::tool_quarantined:
      return {200, kDenied, "The definition of this tool has changed and waits for a review."};
    case Errc::content_type_refused:
      return {200, kDenied,
              "The answer holds content that cannot be looked into, so it is withheld."};
    case Errc::sad_refused:
      return {200, kDenied, "Sensitive authentication data was found, so the message is withheld."};
    case Errc::request_malformed:
      return {400, kInvalidRequest, "The request is not valid JSON-RPC"};
    case Errc::request_too_large:
      return {413, kInvalidRequest, "The request is too large."};
    case Errc::request_too_deep:
      return {400, kInvalidRequest, "The request is nested too deeply."};
    case Errc::request_duplicate_key:
      return {400, kInvalidRequest, "The request names a member twice."};
    case Errc::header_mismatch:
      return {400, kHeaderMismatch, "Header mismatch"};
    case Errc::header_invalid:
      return {400, kInvalidRequest, "A header field is not valid"};
    case Errc::version_unsupported:
      return {400, kUnsupportedVersion, "Unsupported protocol version"};
    case Errc::capability_missing:
      return {400, kMissingCapability, "Missing required client capability"};
    case Errc::method_unknown:
      return {404, kMethodNotFound, "Method not found"};
    case Errc::method_not_allowed:
      return {405, kInvalidRequest, "This HTTP method is not allowed here."};
    case Errc::batch_refused:
      return {400, kInvalidRequest, "Batches are not allowed in this protocol version."};
    case Errc::origin_refused:
    case Errc::host_refused:
      return {403, kDenied, "The Host or Origin of the request is not accepted."};
    case Errc::session_unknown:
    case Errc::session_foreign:
      return {404, kInvalidRequest, "Session not found"};
    case Errc::event_unknown:
      return {400, kInvalidRequest, "There is nothing to resume from this event id."};
    case Errc::state_invalid:
      return {400, kInvalidParams, "The requestState is not valid for this request."};
    case Errc::task_unknown:
      return {200, kInvalidParams, "Unknown task"};
    case Errc::limit_exceeded:
      return {429, kLimited, "Too many streams, sessions or calls at the same time."};
    case Errc::upstream_unreachable:
      return {200, kInternalError, "The upstream server cannot be reached."};
    case Errc::upstream_timeout:
      return {200, kInternalError, "The upstream server did not answer in time."};
    case Errc::upstream_protocol:
      return {200, kInternalError, "The upstream server gave an answer that is not valid."};
    case Errc::upstream_too_large:
      return {200, kInternalError, "The upstream server's answer is too large."};
    case Errc::upstream_closed:
      return {200, kInternalError, "The upstream server ended the connection before its answer."};
    case Errc::ledger_unavailable:
    case Errc::recording_unavailable:
    case Errc::recording_destroyed:
    case Errc::recording_damaged:
      return {503, kInternalError, "The evidence log cannot be written, so nothing is served."};
    case Errc::state_unavailable:
      return {503, kInternalError, "The gateway's state cannot be written, so this is refused."};
    case Errc::mask_failed:
      return {200, kDenied, "The message cannot be masked safely, so it is withheld."};
    case Errc::config_invalid:
    case Errc::io_failed:
    case Errc::internal:
      return {500, kInternalError, "Internal error"};
    case Errc::not_found:
      return {404, kInvalidRequest, "Not found"};
    case Errc::cancelled:
      return {200, kInternalError, "The call was cancelled."};
    case Errc::draining:
      return {503, kInternalError, "The gateway is shutting down."};
  }
  return {500, kInternalError, "Internal error"};
}

/// What belongs to a business answer: the model should read it and go on.
bool IsVerdict(Errc code) {
  switch (code) {
    case Errc::identity_incomplete:
    case Errc::policy_default_deny:
    case Errc::rule_deny:
    case Errc::grant_exceeded:
    case Errc::mfa_required:
    case Errc::approval_required:
    case Errc::approval_denied:
    case Errc::approval_expired:
    case Errc::approval_closed:
    case Errc::approval_mismatch:
    case Errc::unmask_denied:
    case Errc::sql_unparsable:
    case Errc::argument_unclassifiable:
    case Errc::tool_quarantined:
    case Errc::content_type_refused:
    case Errc::sad_refused:
    case Errc::mask_failed:
    case Errc::session_locked:
    case Errc::session_ended:
    case Errc::upstream_link_needed:
      return true;
    default:
      return false;
  }
}

struct Verdict {
  std::string_view decision = "deny";
  Errc reason = Errc::internal;
  std::string rule, decision_id, approval_id, approval_url;
  Nanos approval_expires = 0;
  std::string link_url;
};

/// `{"v":1,"decision":…,"reason":…}`, for machines.
std::string Structure(const Verdict& v) {
  std::string out = R"({"v":1,"decision":")";
  out.append(v.decision).append(R"(","reason":")").append(ReasonCode(v.reason)) += '"';
  const auto add = [&](std::string_view name, std::string_view value) {
    if (value.empty()) return;
    out.append(",\"").append(name).append("\":");
    json::AppendString(out, value);
  };
  add("rule", v.rule);
  add("decision_id", v.decision_id);
  add("approval_id", v.approval_id);
  add("approval_url", v.approval_url);
  add("link_url", v.link_url);
  if (v.approval_expires > 0) add("approval_expires", FormatUtc(v.approval_expires));
  return out += '}';
}

std::string WithId(std::string text, std::string_view decision_id) {
  if (!decision_id.empty()) text.append(" Decision id ").append(decision_id) += '.';
  return text;
}

WireAnswer ToolError(std::string_view text, const Verdict& verdict, const WireContext& context) {
  const std::string gateway = R"({"gateway":)" + Structure(verdict) + '}';
  WireAnswer answer;
  answer.code = "tool-error";
  answer.json =
      R"({"content":[{"type":"text","text":)" + json::Quote(text) + R"(}],"isError":true)";
  if (!context.output_schema) answer.json += R"(,"structuredContent":)" + gateway;
  answer.json += R"(,"_meta":{"sallyport/gateway":)" + Structure(verdict) + '}';
  if (context.modern) answer.json += R"(,"resultType":"complete")";
  answer.json += '}';
  return answer;
}

WireAnswer RpcError(const Row& row, std::string_view text, const Verdict& verdict) {
  WireAnswer answer;
  answer.status = row.status;
  answer.error = true;
  answer.json = ErrorObject(row.code, text, R"({"gateway":)" + Structure(verdict) + '}');
  answer.code = std::to_string(row.code);
  return answer;
}

WireAnswer Say(const Verdict& verdict, std::string text, const WireContext& context) {
  if (context.method == "tools/call" && IsVerdict(verdict.reason))
    return ToolError(text, verdict, context);
  return RpcError(RowOf(verdict.reason), text, verdict);
}

}  // namespace

WireAnswer UnknownName(const WireContext& context) {
  std::string_view what = "Unknown resource: ";
  if (context.method == "tools/call")
    what = "Unknown tool: ";
  else if (context.method == "prompts/get")
    what = "Unknown prompt: ";
  WireAnswer answer;
  answer.error = true;
  answer.json = ErrorObject(kInvalidParams, std::string(what) + std::string(context.name));
  answer.code = std::to_string(kInvalidParams);
  return answer;
}

WireAnswer ToWire(const Error& error, const WireContext& context, std::string_view decision_id) {
  const Row row = RowOf(error.code);
  std::string text(row.text);
  // Faults of the client's own request are explained; all other details stay inside.
  const bool explain = error.code == Errc::request_malformed ||
                       error.code == Errc::header_mismatch || error.code == Errc::header_invalid;
  if (explain && !error.detail.empty()) text += ": " + error.detail;
  if (error.code == Errc::tool_quarantined && !error.detail.empty()) text = error.detail;
  const bool over = error.code == Errc::session_locked || error.code == Errc::session_ended;
  if (over && !error.detail.empty()) text += ' ' + error.detail;
  Verdict verdict{.reason = error.code, .decision_id = std::string(decision_id)};
  if (error.code == Errc::upstream_link_needed && !error.detail.empty()) {
    text += " Open " + error.detail + " in a browser, then make the same call again.";
    verdict.link_url = error.detail;
  }
  if (!IsVerdict(error.code)) verdict.decision = "error";
  return Say(verdict,
             IsVerdict(error.code) ? WithId(std::move(text), decision_id) : std::move(text),
             context);
}

WireAnswer ToWire(const op::Refusal& refusal, const WireContext& context) {
  const op::Decision& decision = refusal.decision;
  if (decision.hidden) return UnknownName(context);
  if (refusal.error.code == Errc::ledger_unavailable) return ToWire(refusal.error, context);
  Verdict verdict{.reason = refusal.error.code,
                  .rule = decision.rules.empty() ? std::string() : decision.rules.front(),
                  .decision_id = refusal.decision_id,
                  .approval_id = refusal.approval_id,
                  .approval_url = refusal.approval_url,
                  .approval_expires = refusal.approval_expires};
  std::string text(RowOf(refusal.error.code).text);
  if (refusal.error.code == Errc::rule_deny && !verdict.rule.empty())
    text = "Blocked by policy " + verdict.rule + ".";
  if (refusal.error.code == Errc::approval_required) {
    verdict.decision = "approve";
    text = "This call needs an approval";
    if (!decision.approval.empty()) text += " by " + decision.approval;
    text += '.';
    if (!refusal.approval_id.empty()) {
      text += " It waits for a decision at " + refusal.approval_url + " until " +
              FormatUtc(refusal.approval_expires).substr(0, 19) +
              "Z. Once it is approved, make the same call again: it then runs once. Approval id " +
              refusal.approval_id + '.';
    }
  }
  if (refusal.error.code == Errc::mfa_required) text += " (" + refusal.error.detail + ")";
  // What an approver wrote is masked, and meant to be read.
  if (refusal.error.code == Errc::approval_denied) text += " (" + refusal.error.detail + ")";
  if (!decision.message.empty()) text += ' ' + decision.message;
  WireAnswer answer = Say(verdict, WithId(std::move(text), refusal.decision_id), context);
  answer.beyond_grant = refusal.error.code == Errc::grant_exceeded;
  if (refusal.retry_after_seconds > 0) {
    answer.headers.Add("Retry-After", std::to_string(refusal.retry_after_seconds));
  }
  return answer;
}

WireAnswer UnsupportedVersion(std::string_view requested, bool modern) {
  std::string data = R"({"supported":[)";
  for (const Revision r : {Revision::r2026_07_28, Revision::r2025_11_25, Revision::r2025_06_18,
                           Revision::r2025_03_26}) {
    if (modern && !IsModern(r)) continue;
    if (data.back() != '[') data += ',';
    data.append("\"").append(RevisionName(r)) += '"';
  }
  data += R"(],"requested":)" + json::Quote(requested.substr(0, 64)) + '}';
  WireAnswer answer;
  answer.status = 400;
  answer.error = true;
  answer.json = ErrorObject(kUnsupportedVersion, "Unsupported protocol version", data);
  answer.code = std::to_string(kUnsupportedVersion);
  return answer;
}

WireAnswer MissingCapability(std::string_view capabilities) {
  WireAnswer answer;
  answer.status = 400;
  answer.error = true;
  answer.json = ErrorObject(kMissingCapability, "Missing required client capability",
                            R"({"requiredCapabilities":)" + std::string(capabilities) + '}');
  answer.code = std::to_string(kMissingCapability);
  return answer;
}

}  // namespace sallyport::mcp
