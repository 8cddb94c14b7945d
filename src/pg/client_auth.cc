#include "pg/client_auth.h"

#include <utility>

#include "pg/frame.h"

namespace sallyport::pg {
namespace {

constexpr std::string_view kMechanism = "OAUTHBEARER";
constexpr uint32_t kAuthCleartext = 3, kAuthSasl = 10, kAuthSaslContinue = 11;

Refusal Violation(std::string message) {
  Error error(Errc::request_malformed, message);
  return {std::move(error), "08P01", std::move(message), {}, {}};
}

/// What the caller can do about a refused token (docs/reason-codes.md).
std::string_view Hint(Errc code) {
  switch (code) {
    case Errc::token_missing:
      return "Give an access token as the password.";
    case Errc::token_malformed:
      return "Send the access token unchanged, as the whole password.";
    case Errc::session_locked:
      return "Unlock the session in the browser; the same token is good again then.";
    case Errc::session_ended:
      return "Sign in again: sallyport login.";
    case Errc::token_expired:
      return "Get a new access token and connect again.";
    case Errc::token_not_yet_valid:
      return "Check the clock of the issuer, then connect again.";
    case Errc::token_audience_wrong:
      return "Ask for a token that has this gateway as its audience.";
    case Errc::token_type_wrong:
      return "Send an access token, not an ID token or a refresh token.";
    case Errc::token_issuer_unknown:
      return "Get the token from the issuer that this gateway trusts.";
    case Errc::rate_limited:
      return "Wait some seconds, then connect with a good token.";
    case Errc::identity_provider_down:
      return "Try again in a moment; tell the operator if it stays.";
    default:
      return "Get a new access token; tell the operator if that does not help.";
  }
}

}  // namespace

std::expected<std::string_view, Refusal> ParsePassword(std::string_view body) {
  BodyReader reader(body);
  const std::string_view password = reader.CString();
  if (!reader.done()) return std::unexpected(Violation("invalid password packet size"));
  if (password.empty()) {
    Refusal refusal = RefuseToken(Error(Errc::token_missing), LoginMethod::password);
    refusal.message = "empty password returned by client";
    return std::unexpected(std::move(refusal));
  }
  return password;
}

std::expected<std::optional<std::string_view>, Refusal> ParseSaslInitial(std::string_view body) {
  BodyReader reader(body);
  const std::string_view mechanism = reader.CString();
  if (!reader.failed() && mechanism != kMechanism)
    return std::unexpected(Violation("client selected an invalid SASL authentication mechanism"));
  const int32_t length = reader.I32();
  if (reader.failed() || length < -1)
    return std::unexpected(Violation("invalid SASL initial response"));
  if (length == -1) {
    if (!reader.done()) return std::unexpected(Violation("invalid SASL initial response"));
    return std::nullopt;
  }
  const std::string_view response = reader.Bytes(size_t(length));
  if (!reader.done()) return std::unexpected(Violation("invalid SASL initial response"));
  return response;
}

bool MayBeCalled(const op::Principal& who, std::string_view user) {
  if (user.empty()) return false;
  if (user == "token" || user == who.subject || user == who.name) return true;
  if (!who.agent.empty() && user == who.agent) return true;
  const size_t at = who.name.find('@');
  return at != 0 && at != who.name.npos && user == std::string_view(who.name).substr(0, at);
}

Refusal RefuseToken(Error error, LoginMethod method) {
  Refusal refusal;
  refusal.sqlstate = method == LoginMethod::password ? "28P01" : "28000";
  refusal.message = method == LoginMethod::password ? "the access token was not accepted"
                                                    : "OAuth bearer authentication failed";
  if (error.code == Errc::identity_provider_down) {
    refusal.sqlstate = "57P03";
    refusal.message = "the identity provider cannot be reached";
  }
  if (error.code == Errc::rate_limited) {
    refusal.sqlstate = "53300";
    refusal.message = "too many refused credentials from this address";
  }
  if (error.code == Errc::session_locked || error.code == Errc::session_ended) {
    refusal.sqlstate = "28000";
    refusal.message =
        error.code == Errc::session_locked ? "the session is locked" : "the session has ended";
  }
  refusal.detail = "Reason: " + std::string(ReasonCode(error.code));
  if (!error.detail.empty()) refusal.detail += ": " + error.detail;
  refusal.detail += '.';
  refusal.hint = Hint(error.code);
  refusal.error = std::move(error);
  return refusal;
}

Refusal RefuseName(std::string_view user) {
  Refusal refusal;
  refusal.error = Error(Errc::identity_mismatch, "the user name is not that of the credential");
  refusal.sqlstate = "28000";
  refusal.message = "the credential does not belong to user \"" + std::string(user) + "\"";
  refusal.detail = "Reason: " + std::string(ReasonCode(Errc::identity_mismatch)) + ".";
  refusal.hint = "Connect with your own name as the user, or with \"token\".";
  return refusal;
}

Refusal RefusePlain(bool tls_offered) {
  Refusal refusal;
  refusal.error = Error(Errc::capability_missing, "a credential is taken under TLS only");
  refusal.sqlstate = "28000";
  refusal.message = "this gateway takes credentials under TLS only";
  refusal.detail = "Reason: " + std::string(ReasonCode(Errc::capability_missing)) + ".";
  refusal.hint = tls_offered ? "Connect with sslmode=verify-full (or require)."
                             : "The operator has to configure TLS for this listener.";
  return refusal;
}

Refusal RefuseOAuthMessage(const char* sqlstate, const char* detail) {
  Refusal refusal = Violation("malformed OAUTHBEARER message");
  refusal.sqlstate = sqlstate;
  refusal.detail = detail;
  return refusal;
}

void AppendPasswordRequest(std::string& out) {
  MessageWriter(out).Begin('R').U32(kAuthCleartext).End();
}

void AppendSaslRequest(std::string& out) {
  MessageWriter(out).Begin('R').U32(kAuthSasl).CString(kMechanism).U8(0).End();
}

void AppendSaslContinue(std::string& out, std::string_view data) {
  MessageWriter(out).Begin('R').U32(kAuthSaslContinue).Bytes(data).End();
}

}  // namespace sallyport::pg
