#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "op/decision.h"
#include "op/mask_count.h"
#include "op/masked.h"
#include "op/session.h"
#include "op/unmask.h"

namespace sallyport::op {

/// What happened. The name in the log ("call.intent") is EventName(); it never changes its meaning.
enum class EventType : uint8_t {
  log_init,        // first entry of a log
  log_start,       // a process began to write; `detail` names version and configuration digest
  log_stop,
  log_recovered,   // entries of a torn tail were dropped; `detail` says how many bytes
  log_heartbeat,   // nothing else was to be said for a while; `detail` says how the clock stands
  clock_stepped,   // the wall clock was set while the process ran; `detail` by how much
  log_failed,      // the last entry of a ledger that could not go on writing; `detail` says why
  config_loaded,   // `policy_version`, at start and after each reload
  config_refused,  // a reload failed; the old configuration stays
  auth_success,    // = a session was opened: who and from where, once
  auth_failure,    // a credential was refused; `reason`
  session_close,   // `count` operations
  session_opened,    // a person signed in: a session of the gateway's own; `access`
  session_locked,    // idle for too long
  session_unlocked,
  consent_decided,   // a person lets a client have tokens of theirs, or does not (`ok` false); before it counts
  session_killed,    // ended, with all that rested on it; `access` says whose, by whom, why, how much
  upstream_linked,   // a person linked their own account of an upstream, before it counts; `ok` false: it was refused, `reason`
  upstream_unlinked, // what the gateway kept of such an account is gone; `access` says whose and by whom
  upstream_refresh_failed,  // a person's token for an upstream could not be renewed; `reason`
  signal_received,   // an identity provider told of something that ends nobody's access; `detail` says what
  request_refused, // refused before it became an operation: malformed, smuggled, oversized, foreign
  call_intent,     // allowed: recorded before one byte goes upstream
  call_denied,     // deny, approval required, rate limit
  call_event,      // something released before the end: progress, log message, question to the client
  call_outcome,    // recorded before the result is released
  call_abandoned,  // a permit was dropped: client gone, or an internal failure
  tool_pinned,
  tool_changed,    // a pinned definition differs, or a tool was renamed
  column_found,    // card numbers in a column that is not classified; `resource` schema.table.column, `count` values
  approval_requested,  // an operation waits for people; before anybody can see it
  approval_notified,   // approvers were told, or could not be
  approval_viewed,     // somebody looked at it
  approval_decided,    // a vote; before it counts. `ok` false: refused, `reason`
  approval_redeemed,   // used; before the operation runs. `ok` false: it was not used after all
  approval_expired,
  approval_withdrawn,  // by who asked, or because caller or rules are not what they were
  passkey_registered,  // a person signs decisions with this key from here on; before it counts
  passkey_removed,     // it signs nothing from here on; `approval` by whom, `access` whose. `ok` false: refused
  control_failed,    // something that protects the data does not do its work: `resource` which, `detail` why
  control_restored,  // it does again, after `count` seconds
  evidence_read,   // somebody read, searched, exported, replayed or verified the log
  key_created,     // a key that protects recordings; `resource` its id
  key_rotated,     // wrapped anew; `resource` its id
  key_destroyed,   // with all that only it could read; `resource` its id, `count` recordings, `detail` the rule
  recording_held,      // what `resource` names is not destroyed while this holds; `access` by whom, why
  recording_released,  // it may be again
  recording_exported,  // `resource` left the store for somebody else's eyes; `access` by whom
  card_looked_up,      // the sessions of one card number were asked for; `access` by whom, `ok` false: not given
  policy_adopted,      // `policy_version` and who stands for it; `access`
  review_made,     // what happened in a day, against what usually does; `facts`
  review_signed,   // a person has looked at one; `access` by whom
  bypass_found,    // somebody reached an upstream without the gateway; `resource`, `facts`
  integrity_checked,  // digests of the program, its configuration and detectors; `facts`
  scan_made,       // everything at rest was searched for card numbers; `count` found, `facts`
  drill_made,      // a restore or a tampering was tried on a copy; `facts`
  delivery_reported,  // what a receiver confirmed against what the log holds; `facts`
};

std::string_view EventName(EventType type);

/// Where a payload lies when it is not in the entry itself: sealed, in the store of recordings. docs/formats/recording.md
struct Blob {
  std::string recording;    // its file below recordings/, without a suffix
  uint64_t offset = 0;      // bytes, of the first chunk
  uint64_t length = 0;      // bytes there, all chunks
  uint32_t chunks = 0;
  std::string sha256;       // hex; of these bytes, so that they are bound without a key
  std::string key;          // id of the key that opens them
};

/// A message as it may be kept: masked, and honest about what is missing.
struct Payload {
  MaskedText text;          // JSON text if `json`, else plain text
  bool json = true;
  uint64_t total_bytes = 0; // of the masked message
  bool complete = true;     // false: cut at the recording limit
  uint64_t rows = 0, rows_missing = 0;  // of a result that has rows: seen by the client; of them not recorded
  std::optional<Blob> blob;            // where the text is, if not here
  std::vector<std::string> cards;      // keyed tokens of the card numbers that were masked in it, if tokens are on
};

/// What an entry about an approval has beyond the others. docs/formats/approval.md
struct ApprovalEvidence {
  std::string flow;
  std::string digest;        // hex; of `binding`
  std::string binding;       // JSON: what is decided about; of approval_requested
  Nanos expires = 0;
  const Principal* by = nullptr;  // who voted, looked, withdrew; null: the gate itself
  std::string vote;          // "approve", "deny"
  MaskedText reason;         // what the person wrote
  std::string assertion;     // JSON: a passkey's signature that has been verified; never outside text
  std::string state;         // of the request from here on
};

/// What an entry about a person's session of the gateway's own has beyond the others.
struct AccessEvidence {
  std::string session;               // "u_…"; empty where a person is meant
  std::string kind;                  // "cli", "web"
  const Principal* whom = nullptr;   // valid while encoding
  std::string by;                    // name of who did it, "expiry", "backchannel-logout", …
  MaskedText why;                    // what they said; of session_opened: what for
  MaskedText grant;                  // of session_opened: its limits, one a line; empty: none
  uint64_t sessions = 0, postgres = 0, mcp = 0, approvals = 0;  // what ended with it
};

/// One entry of the log before encoding (docs/formats/entry.md). Who and where stand in the auth_success
/// entry of the session; the others point there by its index.
struct Evidence {
  EventType type = EventType::log_start;
  Nanos at = 0;

  // auth_success: the session itself. Others: `session` is the log index of that entry.
  const Session* opened = nullptr;
  std::optional<uint64_t> session;
  uint64_t operation = 0;               // per-session counter, from 1

  // auth_failure and request_refused have no session: where it came from, and who it claimed to be if verified.
  std::string address;

  std::string connection;
  std::string method;
  std::string resource;
  std::string trace;                    // trace id of a call.intent or call.denied: what caused what

  std::string decision_id;
  std::optional<Verdict> verdict;
  std::vector<std::string> rules;
  std::string policy_version;           // hex digest, first 16 characters, of the rule set
  std::optional<Errc> reason;
  std::string approval_id;
  const ApprovalEvidence* approval = nullptr;  // of the approval events; valid while encoding

  const UnmaskTerms* unmask = nullptr;  // of an operation that asks for values in clear; valid while encoding
  Nanos unmask_until = 0;               // of one that may show them
  std::optional<Unmasked> unmasked;     // of its outcome: what the client got in clear

  std::optional<uint64_t> intent;       // of call_event, call_outcome, call_abandoned: index of the call_intent
  bool ok = true;                       // outcome
  std::string code;                     // protocol's error code or "tool-error", when not ok
  uint64_t duration_us = 0;

  std::optional<Payload> request;
  std::optional<Payload> result;
  std::vector<MaskCount> masked;

  const AccessEvidence* access = nullptr;  // of session_opened to signal_received

  std::string detail;                   // constant text or names; never outside bytes
  MaskedText facts;                     // JSON object of figures and names, masked like all that is kept; empty: none
  uint64_t count = 0;
};

}  // namespace sallyport::op
