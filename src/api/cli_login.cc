// A session for the command line: the browser is asked, a code goes to the program that waits on
// loopback (RFC 8252), and the program redeems it with its verifier (RFC 7636).
#include <charconv>
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/endpoints.h"
#include "api/logins.h"
#include "api/web_session.h"

namespace sallyport::api {
namespace {

struct Asked {
  std::string port, challenge, state, host;
};

bool IsPort(const std::string& text) {
  unsigned port = 0;
  const auto [end, e] = std::from_chars(text.data(), text.data() + text.size(), port);
  return e == std::errc() && end == text.data() + text.size() && port >= 1024 && port <= 65535;
}

bool IsHandle(const std::string& text, size_t least) {
  return text.size() >= least && text.size() <= 128 &&
         text.find_first_not_of(
             "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == text.npos;
}

Result<Asked> ReadAsked(const Form& form) {
  Asked asked{form.Get("port"), form.Get("challenge"), form.Get("state"), form.Get("host")};
  if (!IsPort(asked.port) || asked.challenge.size() != 43 || !IsHandle(asked.challenge, 43) ||
      !IsHandle(asked.state, 8) || (!asked.host.empty() && !IsHandle(asked.host, 1)))
    return Fail(Errc::request_malformed, "the link is not one that `sallyport login` makes");
  return asked;
}

/// Some characters that the program shows too: the person sees that both belong together.
std::string Match(const Asked& asked) { return asked.challenge.substr(0, 6); }

boost::asio::awaitable<Reply> Ask(Visit& visit) {
  const auto asked = ReadAsked(visit.query);
  if (!asked) co_return Problem(asked.error());
  std::string fields;
  for (const auto& [name, value] :
       {std::pair("form", FormToken(*visit.caller)), std::pair("port", asked->port),
        std::pair("challenge", asked->challenge), std::pair("state", asked->state),
        std::pair("host", asked->host)}) {
    fields += "<input type=\"hidden\" name=\"" + std::string(name) + "\" value=\"" + Escape(value) +
              "\">\n";
  }
  co_return Page("Sign in on the command line",
                 "<h1>Sign in on the command line?</h1>\n<p>A program on this computer" +
                     (asked->host.empty() ? "" : " (<code>" + Escape(asked->host) + "</code>)") +
                     " asks to work as <strong>" + Escape(visit.who().name) +
                     "</strong>. Go on only if you have just started <code>sallyport login</code> "
                     "yourself, and "
                     "it shows</p>\n<pre>" +
                     Escape(Match(*asked)) +
                     "</pre>\n<form method=\"post\" action=\"/login/cli\">\n" + fields +
                     "<button>Sign in</button> <a class=\"button quiet\" href=\"/approvals\">Not "
                     "now</a>\n</form>");
}

boost::asio::awaitable<Reply> Confirm(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Problem(form.error());
  if (const auto own = CheckFormToken(*visit.caller, *form); !own) co_return Problem(own.error());
  const auto asked = ReadAsked(*form);
  if (!asked) co_return Problem(asked.error());
  access::Opening opening{.who = visit.who(),
                          .kind = "cli",
                          .reason = {},
                          .scope = {},
                          .client = (asked->host.empty() ? "command line" : asked->host) + " at " +
                                    visit.request().address,
                          .authenticated_at = visit.caller->live->authenticated_at};
  const std::string code = visit.parts.logins->Grant(asked->challenge, std::move(opening));
  const std::string url =
      "http://127.0.0.1:" + asked->port + "/callback?code=" + code + "&state=" + asked->state;
  // Not a redirect: form-action 'self' holds for those too.
  Reply reply = Page("Signed in",
                     "<h1>Go back to the command line</h1>\n<p>If it does not go on by itself: <a "
                     "href=\"" +
                         Escape(url) + "\">continue</a>.</p>");
  reply.headers.Add("Refresh", "0; url=" + url);
  co_return reply;
}

boost::asio::awaitable<Reply> Redeem(Visit& visit) {
  const auto refuse = [&](const Error& error) {
    op::Evidence evidence;
    evidence.type = op::EventType::auth_failure;
    evidence.address = visit.request().address;
    evidence.method = "token";
    evidence.reason = error.code;
    evidence.ok = false;
    (void)visit.parts.gate.Record(std::move(evidence));
    return Problem(error);
  };
  const auto body = ReadJson(visit);
  if (!body) co_return Problem(body.error());
  const auto code = TextOf(body->root(), "code", 128);
  const auto verifier = TextOf(body->root(), "verifier", 128);
  if (!code || !verifier) co_return Problem(!code ? code.error() : verifier.error());
  Logins& logins = *visit.parts.logins;
  std::string earlier;
  auto opening = logins.Redeem(*code, *verifier, &earlier);
  if (!opening) {
    if (!earlier.empty())
      (void)co_await visit.parts.sessions.Revoke({.session = earlier}, "sallyport",
                                                 "its code was used twice");
    co_return refuse(opening.error());
  }
  const auto opened = co_await visit.parts.sessions.Open(std::move(*opening));
  if (!opened) co_return refuse(opened.error());
  logins.Redeemed(*code, opened->id);
  co_return Json(nlohmann::ordered_json{{"v", 1},
                                        {"token", opened->token},
                                        {"session", opened->id},
                                        {"expires_at", FormatUtc(opened->expires_at)}}
                     .dump());
}

}  // namespace

void AddCliLogin(Router& router) {
  router.Add({.method = "GET", .path = "/login/cli", .needs = Needs::person, .handler = Ask});
  router.Add({.method = "POST",
              .path = "/login/cli",
              .needs = Needs::person,
              .handler = Confirm,
              .works = true});
  router.Add(
      {.method = "POST", .path = "/api/v1/token", .needs = Needs::nobody, .handler = Redeem});
}

}  // namespace sallyport::api
