#pragma once

#include <expected>
#include <optional>
#include <string>
#include <string_view>

#include "op/session.h"
#include "pg/startup.h"

namespace sallyport::pg {

/// The password of a PasswordMessage's body, a view into it. 08P01 where it is not one string with
/// its NUL at the end, 28P01 where it is empty.
std::expected<std::string_view, Refusal> ParsePassword(std::string_view body);

/// The body of a SASLInitialResponse for the one mechanism that is offered: the client's first
/// message, nullopt where it sent none. 08P01.
std::expected<std::optional<std::string_view>, Refusal> ParseSaslInitial(std::string_view body);

/// Whether a caller may call itself `user`: its name (or, of a mail address, what stands before the
/// @), its subject, the name of the agent that it is, or "token". This is no part of knowing who it
/// is; it keeps people from writing one name and being another.
bool MayBeCalled(const op::Principal& who, std::string_view user);

/// The answer to a token that was refused; `method` says which SQLSTATE clients expect. With the
/// reason code in DETAIL and what to do in HINT.
Refusal RefuseToken(Error error, LoginMethod method);
Refusal RefuseName(std::string_view user);
/// A token may not travel in clear text.
Refusal RefusePlain(bool tls_offered);
Refusal RefuseOAuthMessage(const char* sqlstate, const char* detail);

/// AuthenticationCleartextPassword, AuthenticationSASL (OAUTHBEARER), AuthenticationSASLContinue.
void AppendPasswordRequest(std::string& out);
void AppendSaslRequest(std::string& out);
void AppendSaslContinue(std::string& out, std::string_view data);

}  // namespace sallyport::pg
