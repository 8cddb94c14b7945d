#pragma once

#include "api/router.h"

namespace sallyport::api {

// One function per file of endpoints; MakeRouter calls them all.

void AddAssets(Router& router);            // assets.cc: /assets/<name>
void AddSessions(Router& router);          // sessions.cc: /api/v1/me, /api/v1/sessions, /sessions
void AddRevocations(Router& router);       // revocations.cc: /api/v1/revocations
void AddLogin(Router& router);             // login.cc: /login, /login/callback, /logout
void AddSaml(Router& router);              // saml.cc: /login/saml/…
void AddSamlLogout(Router& router);        // saml_logout.cc: /login/saml/logout
void AddCliLogin(Router& router);          // cli_login.cc: /login/cli, /api/v1/token
void AddDevice(Router& router);            // device.cc: /device, /api/v1/device
void AddExchange(Router& router);          // exchange.cc: /token
void AddUnlock(Router& router);            // unlock.cc: /unlock
void AddBackchannel(Router& router);       // backchannel.cc: /backchannel-logout
void AddGlobalRevocation(Router& router);  // global_revocation.cc: /global-token-revocation
void AddSsf(Router& router);               // ssf.cc: /ssf/events/<provider>
void AddTokenRevocation(Router& router);   // token_revocation.cc: /oauth/revoke
void AddApprovals(Router& router);         // approvals.cc: /api/v1/approvals
void AddEvents(Router& router);            // events.cc: /api/v1/events
void AddPasskeys(Router& router);          // passkeys.cc: /api/v1/passkeys
void AddOauthMetadata(Router& router);     // oauth_metadata.cc: RFC 8414
void AddOauthAuthorize(Router& router);    // oauth_authorize.cc: /oauth/authorize, /oauth/consent
void AddOauthRegister(Router& router);     // oauth_register.cc: /oauth/register
void AddReviews(Router& router);           // reviews.cc: /api/v1/reviews
void AddPages(Router& router);             // pages.cc: /approvals, /passkeys, /sessions
void AddUpstreamLink(Router& router);      // upstream_link.cc: /upstream-link
void AddUpstreamIssuer(Router& router);    // upstream_issuer.cc: /.well-known/openid-configuration

/// `oauth`: with what makes the gateway the authorization server of MCP clients.
/// `registration`: of clients that register themselves too.
Router MakeRouter(bool oauth, bool registration = false);

}  // namespace sallyport::api
