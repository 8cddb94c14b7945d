#pragma once

#include <string>
#include <string_view>
#include <utility>

namespace sallyport {

/// Why something was refused or failed. The set is closed on purpose: each front-end translates it in one
/// exhaustive switch (`to_wire.cc`), so a new value breaks the build until every protocol can say it.
///
/// `ReasonCode` gives the stable kebab-case name that callers, operators and assessors read. A name never
/// changes its meaning; it is listed in docs/reason-codes.md.
enum class Errc {
  // Who is calling (identity).
  token_missing,
  token_malformed,
  token_alg_refused,
  token_key_unknown,
  token_signature_invalid,
  token_issuer_unknown,
  token_audience_wrong,
  token_expired,
  token_not_yet_valid,
  token_type_wrong,
  token_claims_invalid,
  token_inactive,        // its provider says that it is not good, or not any more
  token_proof_invalid,   // the proof that the caller holds the key of the token is missing or wrong
  token_used,            // a workload's token that was exchanged already
  identity_incomplete,   // a group list known to be cut (overage): never read as "no groups"
  identity_provider_down,
  identity_mismatch,     // a name that is not the caller's own
  // What may be done (policy).
  policy_default_deny,
  rule_deny,
  approval_required,
  approval_denied,       // an approver said no
  approval_expired,      // nobody decided in time, or the approval was not used in time
  approval_closed,       // decided, used or withdrawn already
  approval_mismatch,     // the digest is not that of the request: something has changed
  unmask_denied,         // nobody may show this caller these values in clear
  approver_ineligible,   // this person must not decide about this request
  mfa_required,          // this wants a login with a second factor, or a fresher one
  passkey_required,      // this person has a passkey: a vote without it does not count
  passkey_invalid,       // a registration or assertion that does not prove what it should
  rate_limited,
  sql_unparsable,
  sql_not_maskable,      // classified columns are used in a way that cannot be masked soundly
  sql_state_refused,     // would change what later statements mean: role, encoding, search path
  grant_exceeded,        // outside of what the session was opened for, or its uses are used up
  rows_exceeded,         // more rows than the rules let through
  argument_unclassifiable,
  tool_unknown,
  tool_quarantined,
  content_type_refused,
  sad_refused,           // sensitive authentication data in a place where it cannot be removed
  // How it was asked (protocol).
  request_malformed,
  request_too_large,
  request_too_deep,
  request_duplicate_key,
  header_mismatch,
  header_invalid,
  version_unsupported,
  capability_missing,
  method_unknown,
  method_not_allowed,
  batch_refused,
  origin_refused,
  host_refused,
  session_unknown,
  session_foreign,
  session_locked,        // idle for too long: the same session goes on once it is unlocked
  session_ended,         // its time is over, its credential has expired, or it was revoked
  login_stale,           // this wants a login with fresh proof, of the last two minutes
  login_pending,         // a login on another device: nobody has decided yet
  login_slow_down,       // asked for again too soon
  login_denied,          // the person said no on the other device
  login_expired,         // nobody confirmed it in time
  login_code_unknown,    // no login of that code: a guess, used, or forgotten by a restart
  event_unknown,
  state_invalid,         // requestState that is forged, foreign, expired or of another request
  task_unknown,
  limit_exceeded,        // streams, sessions or calls of one caller
  // What stands behind (upstream).
  upstream_unreachable,
  upstream_timeout,
  upstream_protocol,
  upstream_too_large,
  upstream_closed,
  upstream_login_failed,
  upstream_credential_failed,  // no credential for the upstream is to be had: nothing was sent
  upstream_link_needed,        // this person has to link their own account of the upstream first
  // Ourselves.
  ledger_unavailable,
  recording_unavailable, // the store of recordings cannot be written or opened: nothing is released
  recording_destroyed,   // its key is gone, as retention or a person has it; its proof stays
  recording_damaged,     // its bytes are not those that the log binds, or its key does not open it
  state_unavailable,     // the embedded state is full, locked or damaged
  mask_failed,
  config_invalid,
  not_found,
  connection_unknown,    // no such connection, or the caller may not know of it
  io_failed,
  cancelled,
  draining,
  internal,
};

/// The stable name of `code`, e.g. "token-expired". Static lifetime.
std::string_view ReasonCode(Errc code);

/// A failure: the code for machines, the detail for people. The detail never holds a token, a secret, a card
/// number or statement text; whoever writes one from outside bytes has to mask it first.
struct Error {
  Errc code = Errc::internal;
  std::string detail;

  Error() = default;
  explicit Error(Errc c) : code(c) {}
  Error(Errc c, std::string d) : code(c), detail(std::move(d)) {}
};

}  // namespace sallyport
