#include "pg/to_wire.h"

#include "pg/frame.h"

namespace sallyport::pg {
namespace {

/// What the caller can do about it.
std::string_view HintFor(Errc code) {
  switch (code) {
    case Errc::policy_default_deny:
      return "Ask the owner of this connection for a rule that covers the statement.";
    case Errc::grant_exceeded:
      return "Sign in again, with other limits or without.";
    case Errc::mfa_required:
      return "Sign in again with a second factor, then connect again.";
    case Errc::rule_deny:
      return "The rule's owner decides about exceptions.";
    case Errc::approval_required:
      return "Ask for an approval, then run the same statement again.";
    case Errc::approval_denied:
      return "Ask the approver why; the same statement can be asked for again later.";
    case Errc::approval_expired:
      return "Run it again to ask again.";
    case Errc::approval_closed:
    case Errc::approval_mismatch:
      return "Run it again: that asks for a new approval.";
    case Errc::unmask_denied:
      return "RESET sallyport.unmask, and read the masked form.";
    case Errc::state_unavailable:
      return "The gateway's operator has to repair its state; statements without approval go on.";
    case Errc::session_locked:
      return "Unlock the session in the browser, then go on.";
    case Errc::rate_limited:
      return "Wait, then run it again.";
    case Errc::sql_unparsable:
      return "Write it in the grammar of PostgreSQL 15.";
    case Errc::sql_not_maskable:
      return "Select the classified columns as they are, or leave them out; expressions over them "
             "cannot be masked here.";
    case Errc::sql_state_refused:
      return "Leave settings as the connection has them, and send such statements one by one.";
    case Errc::rows_exceeded:
      return "Add a WHERE or a LIMIT.";
    case Errc::token_expired:
    case Errc::session_ended:
      return "Connect again with a fresh token.";
    case Errc::request_too_large:
      return "Use COPY or several smaller statements.";
    case Errc::limit_exceeded:
      return "Close connections that are no longer used.";
    default:
      return {};
  }
}

}  // namespace

std::string_view SqlState(Errc code) {
  switch (code) {
    case Errc::token_missing:
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
    case Errc::identity_incomplete:
    case Errc::identity_mismatch:
      return "28000";  // invalid_authorization_specification
    case Errc::identity_provider_down:
      return "57P03";  // cannot_connect_now
    case Errc::policy_default_deny:
    case Errc::rule_deny:
    case Errc::grant_exceeded:
    case Errc::approval_required:
    case Errc::approval_denied:
    case Errc::approval_expired:
    case Errc::approval_closed:
    case Errc::approval_mismatch:
    case Errc::unmask_denied:
    case Errc::approver_ineligible:
    case Errc::mfa_required:
    case Errc::passkey_required:
    case Errc::passkey_invalid:
    case Errc::sql_unparsable:
    case Errc::sql_not_maskable:
    case Errc::sql_state_refused:
    case Errc::argument_unclassifiable:
    case Errc::tool_unknown:
    case Errc::tool_quarantined:
    case Errc::content_type_refused:
    case Errc::sad_refused:
    case Errc::origin_refused:
    case Errc::host_refused:
    case Errc::session_foreign:
    case Errc::login_stale:
    case Errc::login_pending:
    case Errc::login_slow_down:
    case Errc::login_denied:
    case Errc::login_expired:
    case Errc::login_code_unknown:
      return "42501";  // insufficient_privilege
    case Errc::rate_limited:
      return "53400";  // configuration_limit_exceeded
    case Errc::rows_exceeded:
    case Errc::request_too_large:
    case Errc::request_too_deep:
    case Errc::upstream_too_large:
      return "54000";  // program_limit_exceeded
    case Errc::request_malformed:
    case Errc::request_duplicate_key:
    case Errc::header_mismatch:
    case Errc::header_invalid:
    case Errc::batch_refused:
    case Errc::session_unknown:
    case Errc::event_unknown:
    case Errc::state_invalid:
    case Errc::task_unknown:
    case Errc::upstream_protocol:
      return "08P01";  // protocol_violation
    case Errc::version_unsupported:
    case Errc::capability_missing:
    case Errc::method_unknown:
    case Errc::method_not_allowed:
      return "0A000";  // feature_not_supported
    case Errc::session_locked:
    case Errc::session_ended:
      return "57P05";  // idle_session_timeout
    case Errc::draining:
      return "57P01";  // admin_shutdown
    case Errc::limit_exceeded:
      return "53300";  // too_many_connections
    case Errc::connection_unknown:
    case Errc::not_found:
      return "3D000";  // invalid_catalog_name
    case Errc::upstream_unreachable:
    case Errc::upstream_timeout:
    case Errc::upstream_closed:
    case Errc::io_failed:
      return "08006";  // connection_failure
    case Errc::upstream_login_failed:
    case Errc::upstream_credential_failed:
    case Errc::upstream_link_needed:
      return "08004";  // sqlserver_rejected_establishment_of_sqlconnection
    case Errc::cancelled:
      return "57014";  // query_canceled
    case Errc::ledger_unavailable:
    case Errc::recording_unavailable:
    case Errc::recording_destroyed:
    case Errc::recording_damaged:
    case Errc::state_unavailable:
      return "58000";  // system_error
    case Errc::mask_failed:
    case Errc::config_invalid:
    case Errc::internal:
      return "XX000";  // internal_error
  }
  return "XX000";
}

WireError ToWire(const op::Refusal& refusal) {
  const op::Decision& decision = refusal.decision;
  WireError wire = ToWire(refusal.error);
  if (refusal.decision_id.empty()) return wire;
  wire.message = "refused: " + (decision.why.empty() ? refusal.error.detail : decision.why);
  wire.detail = "reason: " + std::string(ReasonCode(refusal.error.code));
  if (!decision.rules.empty()) wire.detail += "; rule: " + decision.rules.front();
  wire.detail += "; decision: " + refusal.decision_id;
  if (!refusal.approval_id.empty()) wire.detail += "; approval: " + refusal.approval_id;
  if (!refusal.approval_url.empty()) wire.detail += "; at: " + refusal.approval_url;
  if (refusal.error.code == Errc::approval_required && !refusal.approval_url.empty()) {
    wire.hint = "It waits for a decision at " + refusal.approval_url +
                "; once it is approved, run the same statement again.";
    if (!decision.message.empty()) wire.hint += ' ' + decision.message;
  } else if (!decision.message.empty()) {
    wire.hint = decision.message;
  }
  if (refusal.retry_after_seconds > 0)
    wire.hint = "Run it again in " + std::to_string(refusal.retry_after_seconds) + " s.";
  return wire;
}

WireError ToWire(const Error& error, std::string_view severity) {
  WireError wire;
  wire.severity = severity;
  wire.code = SqlState(error.code);
  wire.message = error.detail.empty() ? std::string(ReasonCode(error.code)) : error.detail;
  wire.detail = "reason: " + std::string(ReasonCode(error.code));
  wire.hint = HintFor(error.code);
  return wire;
}

void AppendError(std::string& out, const WireError& error, char type) {
  MessageWriter w(out);
  w.Begin(type);
  const auto field = [&](char code, std::string_view value) {
    if (value.empty()) return;
    w.U8(static_cast<uint8_t>(code)).CString(value.substr(0, value.find('\0')));
  };
  field('S', error.severity);
  field('V', error.severity);
  field('C', error.code);
  field('M', error.message);
  field('D', error.detail);
  field('H', error.hint);
  w.U8(0);
  w.End();
}

}  // namespace sallyport::pg
