// A session for the command line: the browser is asked, a code goes to the program that waits on
// loopback (RFC 8252), and the program redeems it with its verifier (RFC 7636).
#include <algorithm>
#include <charconv>
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/endpoints.h"
#include "api/logins.h"
#include "api/web_session.h"
#include "policy/grant.h"

namespace sallyport::api {
namespace {

constexpr size_t kMostReason = 200;
constexpr uint32_t kLongest = 31 * 24 * 3600;

struct Asked {
  std::string port, challenge, state, host;
  std::string only, reason;  // limits, one a line; why
  std::string seconds;       // empty: as long as sessions last
  std::shared_ptr<const policy::Grant> grant;
  std::chrono::seconds lasts{0};
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

/// How the session is limited: what cannot be read is never "no limit".
Result<> ReadLimits(const Form& form, Asked& asked) {
  for (const auto& [name, field] :
       {std::pair("only", &asked.only), std::pair("for", &asked.seconds),
        std::pair("reason", &asked.reason)}) {
    if (!form.Has(name)) continue;
    const auto value = form.Find(name);
    if (!value)
      return Fail(Errc::request_malformed, std::string(name) + " stands in the link twice");
    *field = *value;
  }
  if (!asked.only.empty()) {
    SALLYPORT_TRY(asked.grant, policy::Grant::Parse(asked.only));
  }
  if (!asked.seconds.empty()) {
    uint32_t seconds = 0;
    const std::string& text = asked.seconds;
    const auto [end, e] = std::from_chars(text.data(), text.data() + text.size(), seconds);
    if (e != std::errc() || end != text.data() + text.size() || seconds == 0 || seconds > kLongest)
      return Fail(Errc::request_malformed, "for is not a number of seconds, or is too long");
    asked.lasts = std::chrono::seconds(seconds);
  }
  const bool control = std::ranges::any_of(
      asked.reason, [](char c) { return static_cast<unsigned char>(c) < 0x20 || c == 0x7f; });
  if (control || asked.reason.size() > kMostReason || policy::HoldsLongNumber(asked.reason))
    return Fail(Errc::request_malformed,
                "the reason is longer than 200 bytes, or holds a long number");
  return {};
}

Result<Asked> ReadAsked(const Form& form) {
  Asked asked{.port = form.Get("port"),
              .challenge = form.Get("challenge"),
              .state = form.Get("state"),
              .host = form.Get("host"),
              .only = {},
              .reason = {},
              .seconds = {},
              .grant = nullptr};
  SALLYPORT_CHECK(ReadLimits(form, asked));
  if (!IsPort(asked.port) || asked.challenge.size() != 43 || !IsHandle(asked.challenge, 43) ||
      !IsHandle(asked.state, 8) || (!asked.host.empty() && !IsHandle(asked.host, 1)))
    return Fail(Errc::request_malformed, "the link is not one that `sallyport login` makes");
  return asked;
}

/// Some characters that the program shows too: the person sees that both belong together.
std::string Match(const Asked& asked) { return asked.challenge.substr(0, 6); }

std::string Duration(std::chrono::seconds lasts) {
  const auto n = lasts.count();
  const auto say = [](int64_t count, const char* unit) {
    return std::to_string(count) + ' ' + unit + (count == 1 ? "" : "s");
  };
  return n % 3600 == 0 ? say(n / 3600, "hour")
         : n % 60 == 0 ? say(n / 60, "minute")
                       : say(n, "second");
}

/// The limits in words, as HTML.
std::string LimitsShown(const Asked& asked) {
  std::string out;
  if (!asked.reason.empty()) out += "<p>Reason: " + Escape(asked.reason) + "</p>\n";
  if (asked.grant) {
    out += "<p>It may only, of what the rules let you do:</p>\n<ul>\n";
    for (size_t i = 0; i < asked.grant->size(); ++i)
      out += "<li>" + Escape(asked.grant->Words(i)) + "</li>\n";
    out += "</ul>\n";
  } else {
    out += "<p>It may do all that the rules let you do.</p>\n";
  }
  if (asked.lasts.count() > 0)
    out += "<p>It ends after " + Duration(asked.lasts) + " at the latest.</p>\n";
  return out;
}

boost::asio::awaitable<Reply> Ask(Visit& visit) {
  const auto asked = ReadAsked(visit.query);
  if (!asked) co_return Problem(asked.error());
  std::string fields;
  for (const auto& [name, value] :
       {std::pair("form", FormToken(*visit.caller)), std::pair("port", asked->port),
        std::pair("challenge", asked->challenge), std::pair("state", asked->state),
        std::pair("host", asked->host), std::pair("only", asked->only),
        std::pair("for", asked->seconds), std::pair("reason", asked->reason)}) {
    if (value.empty()) continue;
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
                     Escape(Match(*asked)) + "</pre>\n" + LimitsShown(*asked) +
                     "<form method=\"post\" action=\"/login/cli\">\n" + fields +
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
                          .reason = asked->reason,
                          .scope = asked->only,
                          .client = (asked->host.empty() ? "command line" : asked->host) + " at " +
                                    visit.request().address,
                          .lasts = asked->lasts,
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
  const std::string scope = opening->scope;
  const auto opened = co_await visit.parts.sessions.Open(std::move(*opening));
  if (!opened) co_return refuse(opened.error());
  logins.Redeemed(*code, opened->id);
  co_return Json(nlohmann::ordered_json{
      {"v", 1},
      {"token", opened->token},
      {"session", opened->id},
      {"expires_at", FormatUtc(opened->expires_at)},
      {"scope",
       scope}}.dump());
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
