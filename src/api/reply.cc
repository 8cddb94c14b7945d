#include "api/reply.h"

#include <nlohmann/json.hpp>

namespace sallyport::api {

Reply Json(std::string text, int status) {
  return {
      .status = status, .headers = {{"Content-Type", "application/json"}}, .body = std::move(text)};
}

Reply Problem(const Error& error) {
  const int status = StatusOf(error.code);
  const bool ours = status >= 500;
  const nlohmann::ordered_json body{
      {"type", "about:blank"},
      {"title", ReasonCode(error.code)},
      {"status", status},
      {"detail", error.detail.empty() || ours ? std::string(ReasonCode(error.code)) : error.detail},
      {"code", ReasonCode(error.code)}};
  Reply reply{.status = status,
              .headers = {{"Content-Type", "application/problem+json"}},
              .body = body.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace)};
  reply.step_up = error.code == Errc::mfa_required;
  if (status == 401 && !reply.step_up) reply.headers.Add("WWW-Authenticate", "Bearer");
  if (status == 429) reply.headers.Add("Retry-After", "1");
  if (status == 503) reply.headers.Add("Retry-After", "5");
  return reply;
}

Reply Redirect(std::string_view path) {
  return {.status = 303, .headers = {{"Location", std::string(path)}}, .body = {}};
}

Reply Page(std::string_view title, std::string_view body, int status) {
  std::string html =
      "<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n"
      "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n<title>";
  html.append(Escape(title)).append(" · sallyport</title>\n");
  html += "<link rel=\"stylesheet\" href=\"/assets/sallyport.css\">\n</head>\n<body>\n<main>\n";
  html.append(body).append("\n</main>\n</body>\n</html>\n");
  return {.status = status,
          .headers = {{"Content-Type", "text/html; charset=utf-8"}},
          .body = std::move(html)};
}

std::string Escape(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (const char c : text) {
    switch (c) {
      case '&':
        out += "&amp;";
        break;
      case '<':
        out += "&lt;";
        break;
      case '>':
        out += "&gt;";
        break;
      case '"':
        out += "&quot;";
        break;
      case '\'':
        out += "&#39;";
        break;
      default:
        out += c;
    }
  }
  return out;
}

int StatusOf(Errc code) {
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
    case Errc::session_ended:
    case Errc::mfa_required:
      return 401;
    case Errc::identity_incomplete:
    case Errc::identity_mismatch:
    case Errc::policy_default_deny:
    case Errc::rule_deny:
    case Errc::grant_exceeded:
    case Errc::approval_required:
    case Errc::approval_denied:
    case Errc::unmask_denied:
    case Errc::approver_ineligible:
    case Errc::passkey_required:
    case Errc::passkey_invalid:
    case Errc::sql_unparsable:
    case Errc::sql_not_maskable:
    case Errc::sql_state_refused:
    case Errc::rows_exceeded:
    case Errc::argument_unclassifiable:
    case Errc::tool_unknown:
    case Errc::tool_quarantined:
    case Errc::content_type_refused:
    case Errc::sad_refused:
    case Errc::origin_refused:
    case Errc::host_refused:
    case Errc::session_foreign:
    case Errc::session_locked:
    case Errc::login_stale:
    case Errc::login_denied:
    case Errc::upstream_link_needed:
      return 403;
    case Errc::not_found:
    case Errc::connection_unknown:
    case Errc::session_unknown:
    case Errc::event_unknown:
    case Errc::task_unknown:
      return 404;
    case Errc::method_unknown:
    case Errc::method_not_allowed:
      return 405;
    case Errc::approval_closed:
    case Errc::approval_mismatch:
      return 409;
    case Errc::approval_expired:
      return 410;
    case Errc::request_too_large:
    case Errc::upstream_too_large:
      return 413;
    case Errc::rate_limited:
    case Errc::limit_exceeded:
      return 429;
    case Errc::request_malformed:
    case Errc::request_too_deep:
    case Errc::request_duplicate_key:
    case Errc::header_mismatch:
    case Errc::header_invalid:
    case Errc::version_unsupported:
    case Errc::capability_missing:
    case Errc::batch_refused:
    case Errc::state_invalid:
    case Errc::login_pending:
    case Errc::login_slow_down:
    case Errc::login_expired:
    case Errc::login_code_unknown:
      return 400;
    case Errc::upstream_unreachable:
    case Errc::upstream_timeout:
    case Errc::upstream_protocol:
    case Errc::upstream_closed:
    case Errc::upstream_login_failed:
    case Errc::upstream_credential_failed:
      return 502;
    case Errc::identity_provider_down:
    case Errc::ledger_unavailable:
    case Errc::recording_unavailable:
    case Errc::recording_destroyed:
    case Errc::recording_damaged:
    case Errc::state_unavailable:
    case Errc::draining:
      return 503;
    case Errc::mask_failed:
    case Errc::config_invalid:
    case Errc::io_failed:
    case Errc::cancelled:
    case Errc::internal:
      return 500;
  }
  return 500;
}

}  // namespace sallyport::api
