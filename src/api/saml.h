#pragma once

#include <string>

#include "api/logins.h"
#include "api/visit.h"

namespace sallyport::api {

/// To a SAML provider, and back to `next`; as the login by OpenID Connect (login.cc). `cookie`: the
/// secret that the login is bound to.
boost::asio::awaitable<Reply> BeginSaml(Visit& visit, const LoginProvider& provider,
                                        std::string cookie, std::string next, bool fresh);

/// What is shown when a login does not work out; it is recorded.
Reply RefuseLogin(Visit& visit, const Error& error);
/// The same, without a record.
Reply SorryPage(const Error& error);

}  // namespace sallyport::api
