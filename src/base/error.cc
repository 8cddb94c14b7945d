#include "base/error.h"

namespace sallyport {

std::string_view ReasonCode(Errc code) {
  switch (code) {
    case Errc::token_missing: return "token-missing";
    case Errc::token_malformed: return "token-malformed";
    case Errc::token_alg_refused: return "alg-refused";
    case Errc::token_key_unknown: return "token-key-unknown";
    case Errc::token_signature_invalid: return "token-signature-invalid";
    case Errc::token_issuer_unknown: return "token-issuer-unknown";
    case Errc::token_audience_wrong: return "token-audience-wrong";
    case Errc::token_expired: return "token-expired";
    case Errc::token_not_yet_valid: return "token-not-yet-valid";
    case Errc::token_type_wrong: return "token-type-wrong";
    case Errc::token_inactive: return "token-inactive";
    case Errc::token_proof_invalid: return "token-proof-invalid";
    case Errc::token_used: return "token-used";
    case Errc::token_claims_invalid: return "token-claims-invalid";
    case Errc::identity_incomplete: return "identity-incomplete";
    case Errc::identity_provider_down: return "identity-provider-down";
    case Errc::policy_default_deny: return "policy-default-deny";
    case Errc::rule_deny: return "rule-deny";
    case Errc::approval_required: return "approval-required";
    case Errc::approval_denied: return "approval-denied";
    case Errc::approval_expired: return "approval-expired";
    case Errc::approval_closed: return "approval-closed";
    case Errc::approval_mismatch: return "approval-mismatch";
    case Errc::unmask_denied: return "unmask-denied";
    case Errc::approver_ineligible: return "approver-ineligible";
    case Errc::mfa_required: return "mfa-required";
    case Errc::passkey_required: return "passkey-required";
    case Errc::passkey_invalid: return "passkey-invalid";
    case Errc::rate_limited: return "rate-limited";
    case Errc::sql_unparsable: return "sql-unparsable";
    case Errc::sql_not_maskable: return "sql-not-maskable";
    case Errc::sql_state_refused: return "sql-state-refused";
    case Errc::rows_exceeded: return "rows-exceeded";
    case Errc::session_locked: return "session-locked";
    case Errc::session_ended: return "session-ended";
    case Errc::login_stale: return "login-stale";
    case Errc::login_pending: return "login-pending";
    case Errc::login_slow_down: return "login-slow-down";
    case Errc::login_denied: return "login-denied";
    case Errc::login_expired: return "login-expired";
    case Errc::login_code_unknown: return "login-code-unknown";
    case Errc::identity_mismatch: return "identity-mismatch";
    case Errc::upstream_credential_failed: return "upstream-credential-failed";
    case Errc::upstream_link_needed: return "upstream-link-needed";
    case Errc::upstream_login_failed: return "upstream-login-failed";
    case Errc::connection_unknown: return "connection-unknown";
    case Errc::grant_exceeded: return "grant-exceeded";
    case Errc::argument_unclassifiable: return "argument-unclassifiable";
    case Errc::tool_unknown: return "tool-unknown";
    case Errc::tool_quarantined: return "tool-quarantined";
    case Errc::content_type_refused: return "content-type-refused";
    case Errc::sad_refused: return "sad-refused";
    case Errc::request_malformed: return "request-malformed";
    case Errc::request_too_large: return "request-too-large";
    case Errc::request_too_deep: return "request-too-deep";
    case Errc::request_duplicate_key: return "request-duplicate-key";
    case Errc::header_mismatch: return "header-mismatch";
    case Errc::header_invalid: return "header-invalid";
    case Errc::version_unsupported: return "version-unsupported";
    case Errc::capability_missing: return "capability-missing";
    case Errc::method_unknown: return "method-unknown";
    case Errc::method_not_allowed: return "method-not-allowed";
    case Errc::batch_refused: return "batch-refused";
    case Errc::origin_refused: return "origin-refused";
    case Errc::host_refused: return "host-refused";
    case Errc::session_unknown: return "session-unknown";
    case Errc::session_foreign: return "session-foreign";
    case Errc::event_unknown: return "event-unknown";
    case Errc::state_invalid: return "state-invalid";
    case Errc::task_unknown: return "task-unknown";
    case Errc::limit_exceeded: return "limit-exceeded";
    case Errc::upstream_unreachable: return "upstream-unreachable";
    case Errc::upstream_timeout: return "upstream-timeout";
    case Errc::upstream_protocol: return "upstream-protocol";
    case Errc::upstream_too_large: return "upstream-too-large";
    case Errc::upstream_closed: return "upstream-closed";
    case Errc::ledger_unavailable: return "ledger-unavailable";
    case Errc::state_unavailable: return "state-unavailable";
    case Errc::mask_failed: return "mask-failed";
    case Errc::config_invalid: return "config-invalid";
    case Errc::not_found: return "not-found";
    case Errc::io_failed: return "io-failed";
    case Errc::cancelled: return "cancelled";
    case Errc::draining: return "draining";
    case Errc::internal: return "internal";
  }
  return "internal";
}

}  // namespace sallyport
