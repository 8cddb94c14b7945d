#pragma once

#include <string>

#include "api/visit.h"

namespace sallyport::api {

/// Opens a web session for who has just signed in, ends the one that the browser had, and sends the
/// browser to `next` with the new cookie: the session of a browser changes with every login.
/// `proved_at`: when the person showed the provider anew who they are; 0: that was not asked for.
boost::asio::awaitable<Reply> OpenWebSession(Visit& visit, op::Principal who, std::string next,
                                             Nanos proved_at);

/// The browser that asks; token_missing, and what its session is answered with.
Result<Caller> BrowserOf(const Parts& parts, const net::HttpRequest& request);

/// What is wrong with the browser's session; Errc::token_missing if it has none, nullopt if it is
/// good.
std::optional<Errc> CookieState(const Visit& visit);

/// To the provider for a login with fresh proof, and back to `next`, a local path.
boost::asio::awaitable<Reply> BeginFreshLogin(Visit& visit, std::string next);

/// A token for the forms of a page, which only pages shown in this session know.
std::string FormToken(const Caller& caller);
Result<> CheckFormToken(const Caller& caller, const Form& form);

/// Whether the caller has proved who they are within the last two minutes: in this browser, to the
/// provider. A login that the provider let through because of an earlier one does not count.
bool IsFresh(const Visit& visit);

}  // namespace sallyport::api
