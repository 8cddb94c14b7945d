#include "api/assets.h"
#include "api/endpoints.h"

namespace sallyport::api {
namespace {

/// A page is the same for everybody; what it shows it asks the API for.
boost::asio::awaitable<Reply> Static(std::string_view name) {
  const auto text = Asset(name);
  if (!text) co_return Problem(Error(Errc::internal));
  co_return Reply{.headers = {{"Content-Type", "text/html; charset=utf-8"}},
                  .body = std::string(*text)};
}

boost::asio::awaitable<Reply> Inbox(Visit&) { return Static("inbox.html"); }
boost::asio::awaitable<Reply> Request(Visit&) { return Static("request.html"); }
boost::asio::awaitable<Reply> Passkeys(Visit&) { return Static("passkeys.html"); }
boost::asio::awaitable<Reply> Sessions(Visit&) { return Static("sessions.html"); }

}  // namespace

void AddPages(Router& router) {
  router.Add({.method = "GET", .path = "/approvals", .needs = Needs::person, .handler = Inbox});
  router.Add(
      {.method = "GET", .path = "/approvals/:id", .needs = Needs::person, .handler = Request});
  router.Add({.method = "GET", .path = "/sessions", .needs = Needs::person, .handler = Sessions});
  router.Add({.method = "GET", .path = "/passkeys", .needs = Needs::person, .handler = Passkeys});
}

}  // namespace sallyport::api
