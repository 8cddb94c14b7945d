// `sallyport login --device` (RFC 8628): a program without a browser shows a code, and a person who
// is signed in elsewhere types it at /device, sees who asks, and decides.
#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/body.h"
#include "api/device_logins.h"
#include "api/endpoints.h"
#include "api/web_session.h"
#include "ledger/render.h"

namespace sallyport::api {
namespace {

using nlohmann::ordered_json;

constexpr size_t kLongestHost = 64, kLongestProgram = 128, kLongestReason = 200;

/// The refusal is recorded before it is told.
Error Recorded(const Visit& visit, const Error& error) {
  op::AccessEvidence access;
  op::Evidence e;
  e.type = op::EventType::auth_failure;
  e.address = visit.request().address;
  e.method = "device";
  e.reason = error.code;
  e.ok = false;
  if (visit.caller) {
    access.whom = &visit.who();
    e.access = &access;
  }
  const auto recorded = visit.parts.gate.Record(std::move(e));
  return recorded ? error : recorded.error();
}

/// RFC 8628 section 3.5 and RFC 6749 section 5.2 name what our reason codes say.
std::string_view OauthError(Errc code) {
  switch (code) {
    case Errc::login_pending:
      return "authorization_pending";
    case Errc::login_slow_down:
      return "slow_down";
    case Errc::login_denied:
      return "access_denied";
    case Errc::login_expired:
      return "expired_token";
    case Errc::login_code_unknown:
      return "invalid_grant";
    default:
      return "invalid_request";
  }
}

Reply OauthProblem(const Error& error) {
  Reply reply = Problem(error);
  ordered_json body = ordered_json::parse(reply.body);
  body["error"] = OauthError(error.code);
  reply.body = body.dump(-1, ' ', false, ordered_json::error_handler_t::replace);
  return reply;
}

std::string Shortened(std::string text, size_t longest) {
  if (text.size() > longest) text.resize(longest);
  return text;
}

/// What a program says of itself: plain characters only.
std::string Plain(std::string_view text, size_t longest) {
  std::string out;
  for (const char c : text.substr(0, longest)) out += c >= ' ' && c <= '~' ? c : '?';
  return out;
}

boost::asio::awaitable<Reply> Begin(Visit& visit) {
  const auto body = ReadJson(visit);
  if (!body) co_return OauthProblem(body.error());
  const auto host = TextOf(body->root(), "host", kLongestHost, true);
  const auto reason = TextOf(body->root(), "reason", kLongestReason, true);
  if (!host) co_return OauthProblem(host.error());
  if (!reason) co_return OauthProblem(reason.error());
  DeviceLogins::Asker asker{
      .host = Plain(*host, kLongestHost),
      .program = Plain(visit.request().headers.Find("User-Agent").value_or(""), kLongestProgram),
      // The words of somebody whom nobody knows yet: no card number of theirs is kept or shown.
      .reason = reason->empty() ? std::string() : visit.parts.mask(*reason).text.get(),
      .address = visit.request().address};
  const auto begun = visit.parts.devices->Begin(std::move(asker));
  if (!begun) co_return OauthProblem(Recorded(visit, begun.error()));
  const std::string page = visit.parts.public_url + "/device";
  co_return Json(ordered_json{{"v", 1},
                              {"device_code", begun->device_code},
                              {"user_code", begun->user_code},
                              {"verification_uri", page},
                              {"verification_uri_complete", page + "?code=" + begun->user_code},
                              {"expires_in", std::chrono::seconds(DeviceLogins::kWithin).count()},
                              {"interval", DeviceLogins::kInterval.count()}}
                     .dump());
}

boost::asio::awaitable<Reply> Poll(Visit& visit) {
  const auto body = ReadJson(visit);
  if (!body) co_return OauthProblem(body.error());
  const auto code = TextOf(body->root(), "device_code", 128);
  if (!code) co_return OauthProblem(code.error());
  std::string earlier;
  auto opening = visit.parts.devices->Poll(*code, &earlier);
  if (!opening && opening.error().code == Errc::login_pending)
    co_return OauthProblem(opening.error());
  if (!opening) {
    if (!earlier.empty())
      (void)co_await visit.parts.sessions.Revoke({.session = earlier}, "sallyport",
                                                 "its code was used twice");
    co_return OauthProblem(Recorded(visit, opening.error()));
  }
  const auto opened = co_await visit.parts.sessions.Open(std::move(*opening));
  if (!opened) co_return OauthProblem(Recorded(visit, opened.error()));
  visit.parts.devices->Opened(*code, opened->id);
  co_return Json(ordered_json{{"v", 1},
                              {"token", opened->token},
                              {"session", opened->id},
                              {"expires_at", FormatUtc(opened->expires_at)}}
                     .dump());
}

std::string Hidden(std::string_view name, std::string_view value) {
  return "<input type=\"hidden\" name=\"" + std::string(name) + "\" value=\"" + Escape(value) +
         "\">\n";
}

std::string PersonOf(const Visit& visit) { return visit.who().issuer + '|' + visit.who().subject; }

/// Where the code is typed. A link may bring it along; nothing happens before two clicks.
Reply Type(const Visit& visit, std::string_view code, const Error* error = nullptr) {
  std::string html = "<h1>Sign in a program on another device</h1>\n";
  if (error != nullptr) {
    html += "<div class=\"notice bad\" role=\"alert\"><p>" + Escape(error->detail) +
            "</p><p><code>" + std::string(ReasonCode(error->code)) + "</code></p></div>\n";
  }
  html +=
      "<p>Type the code that <code>sallyport login --device</code> shows, if you have started it "
      "yourself a moment ago. Somebody who sends you a code, by mail, chat or telephone, wants to "
      "work in your name.</p>\n<form method=\"post\" action=\"/device\" class=\"decide\">\n" +
      Hidden("form", FormToken(*visit.caller)) +
      "<div><label for=\"code\">Code</label><input type=\"text\" id=\"code\" name=\"code\" "
      "required maxlength=\"20\" autocomplete=\"off\" autocapitalize=\"characters\" "
      "spellcheck=\"false\" value=\"" +
      Escape(code) + "\"></div>\n<div class=\"choice\"><button>Go on</button></div>\n</form>";
  return Page("Sign in on another device", html, error == nullptr ? 200 : StatusOf(error->code));
}

std::string Row(std::string_view name, const std::string& value) {
  return value.empty() ? ""
                       : "<dt>" + std::string(name) + "</dt><dd>" +
                             Escape(ledger::Printable(value)) + "</dd>";
}

/// Who asks; and the question.
Reply Question(const Visit& visit, const std::string& code, const DeviceLogins::Asker& asker) {
  const int64_t ago =
      std::max<int64_t>(0, (visit.parts.clock.WallNow() - asker.asked_at) / 1'000'000'000);
  const bool elsewhere = asker.address != visit.request().address;
  return Page(
      "Sign in on another device",
      "<h1>Let this program work as " + Escape(visit.who().name) +
          "?</h1>\n<p>It shows the code</p>\n" + "<pre>" + Escape(code) +
          "</pre>\n<dl class=\"facts\">" +
          Row("Asked from", asker.address + (elsewhere ? "" : " (the address you have too)")) +
          (elsewhere ? Row("You are at", visit.request().address) : "") +
          Row("Calls itself", asker.host) + Row("Program", asker.program) +
          Row("Reason given", asker.reason) +
          Row("Asked at", FormatUtc(asker.asked_at) + ", " + std::to_string(ago) + " s ago") +
          "</dl>\n<div class=\"notice wait\"><p>Only codes that you have started yourself may be "
          "confirmed. Name, program and reason are what the program says; its address is what "
          "this gateway saw. If you do not recognise it, refuse.</p></div>\n"
          "<form method=\"post\" action=\"/device/decision\">\n" +
          Hidden("form", FormToken(*visit.caller)) + Hidden("code", code) +
          "<div class=\"choice\"><button class=\"no\" name=\"decision\" value=\"deny\">Refuse"
          "</button> <button class=\"yes\" name=\"decision\" value=\"approve\">I started it: sign "
          "it in</button></div>\n</form>");
}

boost::asio::awaitable<Reply> AskCode(Visit& visit) {
  co_return Type(visit, NormalUserCode(visit.query.Get("code")));
}

boost::asio::awaitable<Reply> Look(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Problem(form.error());
  if (const auto own = CheckFormToken(*visit.caller, *form); !own) co_return Problem(own.error());
  const std::string code = NormalUserCode(form->Get("code"));
  const auto asker = visit.parts.devices->Find(code, PersonOf(visit));
  if (!asker) {
    const Error error = Recorded(visit, asker.error());
    co_return Type(visit, "", &error);
  }
  co_return Question(visit, code, *asker);
}

boost::asio::awaitable<Reply> Decide(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Problem(form.error());
  if (const auto own = CheckFormToken(*visit.caller, *form); !own) co_return Problem(own.error());
  DeviceLogins& devices = *visit.parts.devices;
  const std::string code = NormalUserCode(form->Get("code")), decision = form->Get("decision");
  if (decision != "approve" && decision != "deny")
    co_return Problem(Error(Errc::request_malformed, "decision is neither approve nor deny"));
  if (decision == "deny") {
    const auto denied = devices.Deny(code, PersonOf(visit));
    const Error error =
        Recorded(visit, denied ? Error(Errc::login_denied, "refused") : denied.error());
    if (error.code != Errc::login_denied) co_return Type(visit, "", &error);
    co_return Page("Refused", "<h1>The program is refused</h1>\n<p>It has got nothing.</p>");
  }
  auto asker = devices.Find(code, PersonOf(visit));
  if (asker) {
    access::Opening opening{
        .who = visit.who(),
        .kind = "cli",
        .reason = asker->reason,
        .scope = {},
        .client = Shortened((asker->host.empty() ? "a program" : asker->host) + " at " +
                                asker->address + ", let in from " + visit.request().address,
                            256),
        .authenticated_at = visit.caller->live->authenticated_at};
    asker = devices.Approve(code, PersonOf(visit), std::move(opening));
  }
  if (!asker) {
    const Error error = Recorded(visit, asker.error());
    co_return Type(visit, "", &error);
  }
  co_return Page(
      "Signed in",
      "<h1>The program is signed in</h1>\n<p>It goes on within some seconds. You can end "
      "its session under <a href=\"/sessions\">Sessions</a>.</p>");
}

}  // namespace

void AddDevice(Router& router) {
  router.Add(
      {.method = "POST", .path = "/api/v1/device", .needs = Needs::nobody, .handler = Begin});
  router.Add(
      {.method = "POST", .path = "/api/v1/device/token", .needs = Needs::nobody, .handler = Poll});
  router.Add({.method = "GET", .path = "/device", .needs = Needs::person, .handler = AskCode});
  router.Add({.method = "POST",
              .path = "/device",
              .needs = Needs::person,
              .handler = Look,
              .works = true});
  router.Add({.method = "POST",
              .path = "/device/decision",
              .needs = Needs::person,
              .handler = Decide,
              .works = true});
}

}  // namespace sallyport::api
