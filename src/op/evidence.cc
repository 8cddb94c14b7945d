#include "op/evidence.h"

namespace sallyport::op {

std::string_view EventName(EventType type) {
  switch (type) {
    case EventType::log_init: return "log.init";
    case EventType::log_start: return "log.start";
    case EventType::log_stop: return "log.stop";
    case EventType::log_recovered: return "log.recovered";
    case EventType::log_heartbeat: return "log.heartbeat";
    case EventType::clock_stepped: return "clock.stepped";
    case EventType::log_failed: return "log.failed";
    case EventType::config_loaded: return "config.loaded";
    case EventType::config_refused: return "config.refused";
    case EventType::auth_success: return "auth.success";
    case EventType::auth_failure: return "auth.failure";
    case EventType::session_close: return "session.close";
    case EventType::session_opened: return "session.opened";
    case EventType::session_locked: return "session.locked";
    case EventType::session_unlocked: return "session.unlocked";
    case EventType::consent_decided: return "consent.decided";
    case EventType::session_killed: return "session.killed";
    case EventType::upstream_linked: return "upstream.linked";
    case EventType::upstream_unlinked: return "upstream.unlinked";
    case EventType::upstream_refresh_failed: return "upstream.refresh_failed";
    case EventType::signal_received: return "signal.received";
    case EventType::request_refused: return "request.refused";
    case EventType::call_intent: return "call.intent";
    case EventType::call_denied: return "call.denied";
    case EventType::call_event: return "call.event";
    case EventType::call_outcome: return "call.outcome";
    case EventType::call_abandoned: return "call.abandoned";
    case EventType::tool_pinned: return "tool.pinned";
    case EventType::tool_changed: return "tool.changed";
    case EventType::column_found: return "column.found";
    case EventType::approval_requested: return "approval.requested";
    case EventType::approval_notified: return "approval.notified";
    case EventType::approval_viewed: return "approval.viewed";
    case EventType::approval_decided: return "approval.decided";
    case EventType::approval_redeemed: return "approval.redeemed";
    case EventType::approval_expired: return "approval.expired";
    case EventType::approval_withdrawn: return "approval.withdrawn";
    case EventType::passkey_registered: return "passkey.registered";
    case EventType::passkey_removed: return "passkey.removed";
    case EventType::control_failed: return "control.failed";
    case EventType::control_restored: return "control.restored";
    case EventType::evidence_read: return "evidence.read";
    case EventType::key_created: return "key.created";
    case EventType::key_rotated: return "key.rotated";
    case EventType::key_destroyed: return "key.destroyed";
    case EventType::recording_held: return "recording.held";
    case EventType::recording_released: return "recording.released";
    case EventType::recording_exported: return "recording.exported";
    case EventType::card_looked_up: return "card.looked_up";
    case EventType::policy_adopted: return "policy.adopted";
    case EventType::review_made: return "review.made";
    case EventType::review_signed: return "review.signed";
    case EventType::bypass_found: return "bypass.found";
    case EventType::integrity_checked: return "integrity.checked";
    case EventType::scan_made: return "scan.made";
    case EventType::drill_made: return "drill.made";
    case EventType::delivery_reported: return "delivery.reported";
  }
  return "unknown";
}

}  // namespace sallyport::op
