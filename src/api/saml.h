#pragma once

#include <string>

#include "api/logins.h"
#include "api/visit.h"
#include "saml/request.h"

namespace sallyport::api {

/// To a SAML provider, and back to `next`; as the login by OpenID Connect (login.cc). `cookie`: the
/// secret that the login is bound to.
boost::asio::awaitable<Reply> BeginSaml(Visit& visit, const LoginProvider& provider,
                                        std::string cookie, std::string next, bool fresh);

/// Us, as SAML providers know us.
saml::ServiceProvider SamlSelf(const Parts& parts);

/// The session at the provider that a SessionIndex of somebody names. It is theirs alone: providers
/// may give the same index to several people (saml-core-2.0-os, 2.7.2).
std::string SamlSid(std::string_view name_id, std::string_view session_index);

/// Where the browser of `who`, who has just been signed out here, ends the session at the provider
/// too; empty: the provider offers no such place, or did not sign them in since the start.
boost::asio::awaitable<std::string> SamlLogoutUrl(Visit& visit, const op::Principal& who);

/// What is shown when a login does not work out; it is recorded.
Reply RefuseLogin(Visit& visit, const Error& error);
/// The same, without a record.
Reply SorryPage(const Error& error);

}  // namespace sallyport::api
