// /upstream-link: a person lets the gateway use their own account of an upstream, or no longer; see
// credential/user_oauth.h. The link in the answer of a refused call leads here.
#include "api/body.h"
#include "api/endpoints.h"
#include "api/oauth_server.h"
#include "api/upstream_links.h"
#include "api/web_session.h"
#include "json/document.h"
#include "policy/reach.h"

namespace sallyport::api {
namespace {

using credential::UserOauth;

constexpr std::chrono::seconds kWithin{20};
constexpr size_t kMostWaiting = 32;

Reply Sorry(const Error& error, std::string_view title = "The account is not linked") {
  std::string text = error.detail.empty() ? "It did not work" : error.detail;
  return Page(title,
              "<h1>" + Escape(title) + "</h1>\n<p>" + Escape(text) + ".</p>\n<p><code>" +
                  std::string(ReasonCode(error.code)) +
                  "</code></p>\n<p><a href=\"/upstream-link\">Linked accounts</a></p>",
              StatusOf(error.code));
}

/// A connection that this person may know of.
const UpstreamLink* FindFor(const Visit& visit, std::string_view connection) {
  const UpstreamLinks* links = visit.parts.upstream_links;
  const UpstreamLink* link = links == nullptr ? nullptr : links->Find(connection);
  const auto rules = visit.parts.gate.rules();
  if (link == nullptr || !policy::Admits(*rules, visit.who(), connection, link->labels))
    return nullptr;
  return link;
}

UserOauth::Browser BrowserAt(const Visit& visit, const Caller& caller) {
  return {.who = caller.who,
          .session = caller.live->id,
          .secret = caller.token,
          .address = visit.request().address};
}

std::string Row(std::string_view name, const std::string& value) {
  return "<dt>" + std::string(name) + "</dt><dd>" + Escape(value) + "</dd>";
}

std::string HostOf(const std::string& url) {
  const std::string origin = credential::OriginOfUrl(url);
  return origin.empty() ? url : origin;
}

std::string Button(const Visit& visit, const std::string& connection, const std::string& server,
                   std::string_view decision, std::string_view words, bool yes) {
  const auto hidden = [](std::string_view name, std::string_view value) {
    return "<input type=\"hidden\" name=\"" + std::string(name) + "\" value=\"" + Escape(value) +
           "\">\n";
  };
  return "<form method=\"post\" action=\"/upstream-link\">\n" +
         hidden("form", FormToken(*visit.caller)) + hidden("connection", connection) +
         hidden("server", server) + "<div class=\"choice\"><button class=\"" +
         (yes ? "yes" : "no") + "\" name=\"decision\" value=\"" + std::string(decision) + "\">" +
         std::string(words) + "</button></div>\n</form>\n";
}

/// All connections of this kind that the person may know of.
Reply List(const Visit& visit) {
  std::string rows;
  if (visit.parts.upstream_links != nullptr) {
    for (const UpstreamLink& link : visit.parts.upstream_links->all()) {
      const std::string& name = link.oauth->connection();
      if (FindFor(visit, name) == nullptr) continue;
      const auto status = link.oauth->StatusOf(visit.who());
      rows += "<p><a href=\"/upstream-link?connection=" + PercentEncode(name) + "\">" +
              Escape(name) + "</a>: " +
              (status.linked ? "linked since " + FormatUtc(status.since).substr(0, 16)
                             : std::string("not linked")) +
              "</p>\n";
    }
  }
  if (rows.empty()) rows = "<p>No connection works with accounts of your own.</p>";
  return Page("Linked accounts", "<h1>Linked accounts</h1>\n" + rows);
}

/// What is asked for, where, and whose it is: before anybody is sent anywhere.
Reply Question(const Visit& visit, const UserOauth& oauth, const credential::LinkPlan& plan) {
  const auto status = oauth.StatusOf(visit.who());
  const std::string server = plan.server.issuer.empty()
                                 ? credential::OriginOfUrl(plan.server.token_url)
                                 : plan.server.issuer;
  std::string rows = Row("Connection", oauth.connection()) +
                     Row("Calls go to", HostOf(oauth.upstream())) +
                     Row("You sign in at", HostOf(plan.server.authorize_url)) +
                     Row("Authorization server", server);
  if (!plan.scope.empty()) rows += Row("Asks for", plan.scope);
  rows += Row("You are", visit.who().name + " of " + visit.who().provider);
  if (status.linked)
    rows += Row("Linked since", FormatUtc(status.since).substr(0, 16) + " at " + status.server);
  return Page(
      "Link your account?",
      "<h1>" + std::string(status.linked ? "Your account is linked" : "Link your own account?") +
          "</h1>\n<dl class=\"facts\">" + rows +
          "</dl>\n<div class=\"notice wait\"><p>Calls that you, or programs in your name, make "
          "through this gateway then work there as your account. The gateway keeps the permission, "
          "encrypted, until you take it back here; no program ever sees it. Go on only if you know "
          "the address at which you sign in.</p></div>\n" +
          Button(visit, oauth.connection(), server, "link",
                 status.linked ? "Link it again" : "Link my account", true) +
          (status.linked ? Button(visit, oauth.connection(), server, "unlink", "Unlink", false)
                         : std::string()));
}

/// Nobody knows where to send the person; what is linked can be taken back all the same.
Reply NotNow(const Visit& visit, const UserOauth& oauth, const Error& error) {
  std::string body = "<h1>The account cannot be linked now</h1>\n<p>" + Escape(error.detail) +
                     ".</p>\n<p><code>" + std::string(ReasonCode(error.code)) + "</code></p>\n";
  if (oauth.StatusOf(visit.who()).linked)
    body += Button(visit, oauth.connection(), {}, "unlink", "Unlink", false);
  return Page("Not now", body, StatusOf(error.code));
}

boost::asio::awaitable<Reply> Ask(Visit& visit) {
  if (!visit.query.Has("connection")) co_return List(visit);
  const UpstreamLink* link = FindFor(visit, visit.query.Get("connection"));
  if (link == nullptr)
    co_return Sorry(Error(Errc::not_found, "There is no such connection for you"));
  if (visit.query.Has("for") && !link->oauth->IsMarkOf(visit.query.Get("for"), visit.who())) {
    const Error other(Errc::identity_mismatch,
                      "This link was made for somebody else: sign in as the person that the "
                      "program works for");
    co_return Sorry(RecordRefusal(visit, "upstream-link", other, &visit.who()));
  }
  const auto plan = co_await visit.parts.upstream_links->Do<credential::LinkPlan>(
      [oauth = link->oauth, who = visit.who()](std::stop_token stop) {
        return oauth->PlanFor(who, std::move(stop));
      });
  if (!plan) co_return NotNow(visit, *link->oauth, plan.error());
  co_return Question(visit, *link->oauth, *plan);
}

/// Not by a redirect: form-action 'self' would hold for that too.
Reply SendTo(const std::string& url) {
  Reply reply = Page("Sign in there",
                     "<h1>Sign in there</h1>\n<p>If it does not go on by itself: "
                     "<a href=\"" +
                         Escape(url) + "\">continue at " + Escape(HostOf(url)) + "</a>.</p>");
  reply.headers.Add("Refresh", "0; url=" + url);
  return reply;
}

boost::asio::awaitable<Reply> Decide(Visit& visit) {
  const auto form = ReadForm(visit);
  if (!form) co_return Problem(form.error());
  if (const auto own = CheckFormToken(*visit.caller, *form); !own)
    co_return Problem(RecordRefusal(visit, "upstream-link", own.error(), &visit.who()));
  const UpstreamLink* link = FindFor(visit, form->Get("connection"));
  if (link == nullptr)
    co_return Sorry(Error(Errc::not_found, "There is no such connection for you"));
  UpstreamLinks& links = *visit.parts.upstream_links;
  const auto browser = BrowserAt(visit, *visit.caller);
  if (form->Get("decision") == "unlink") {
    const auto gone = co_await links.Do<bool>([oauth = link->oauth, browser](std::stop_token stop) {
      return oauth->Unlink(browser, std::move(stop));
    });
    if (!gone) co_return Sorry(gone.error(), "The account is not unlinked");
    co_return Page("Unlinked",
                   "<h1>Your account is not linked any more</h1>\n<p>The gateway has forgotten its "
                   "permission.</p>\n<p><a href=\"/upstream-link\">Linked accounts</a></p>");
  }
  if (form->Get("decision") != "link")
    co_return Problem(Error(Errc::request_malformed, "decision is neither link nor unlink"));
  const auto url = co_await links.Do<std::string>(
      [oauth = link->oauth, browser, server = form->Get("server")](std::stop_token stop) {
        return oauth->Begin(browser, server, std::move(stop));
      });
  if (!url) co_return Sorry(url.error());
  co_return SendTo(*url);
}

UserOauth::Answer AnswerIn(const Form& query) {
  UserOauth::Answer answer;
  const auto take = [&](const char* name) -> std::optional<std::string> {
    if (!query.Has(name)) return std::nullopt;
    const auto value = query.Find(name);
    answer.twice |= !value;
    return value ? std::optional<std::string>(*value) : std::nullopt;
  };
  answer.state = take("state").value_or("");
  answer.code = take("code");
  answer.iss = take("iss");
  answer.error = take("error");
  return answer;
}

/// Back from the authorization server. The path names the connection, so an answer of one server
/// cannot be taken for that of another (RFC 9700 section 4.4).
boost::asio::awaitable<Reply> Callback(Visit& visit) {
  UpstreamLinks* links = visit.parts.upstream_links;
  const UpstreamLink* link = links == nullptr ? nullptr : links->Find(visit.Param("connection"));
  auto caller = BrowserOf(visit.parts, visit.request());
  if (!caller || link == nullptr) {
    const Error error = caller
                            ? Error(Errc::state_invalid, "This was not begun here")
                            : Error(caller.error().code, "You are not signed in in this browser");
    co_return Sorry(RecordRefusal(visit, "upstream-link", error, caller ? &caller->who : nullptr));
  }
  const auto browser = BrowserAt(visit, *caller);
  const auto done =
      co_await links->Do<bool>([oauth = link->oauth, browser, answer = AnswerIn(visit.query)](
                                   std::stop_token stop) -> Result<bool> {
        SALLYPORT_CHECK(oauth->Finish(browser, answer, std::move(stop)));
        return true;
      });
  if (!done) co_return Sorry(done.error());
  co_return Page("Linked",
                 "<h1>Your account is linked</h1>\n<p>Go back to your program and make "
                 "the same call again.</p>\n<p><a href=\"/upstream-link\">Linked "
                 "accounts</a></p>");
}

/// What the gateway says of itself to authorization servers that read it
/// (draft-ietf-oauth-client-id-metadata-document).
boost::asio::awaitable<Reply> Document(Visit& visit) {
  const UpstreamLinks* links = visit.parts.upstream_links;
  const UpstreamLink* link = links == nullptr ? nullptr : links->Find(visit.Param("connection"));
  if (link == nullptr || link->oauth->document_url().empty())
    co_return Problem(Error(Errc::not_found));
  Reply reply = Json(
      "{\"client_id\":" + json::Quote(link->oauth->document_url()) +
      R"(,"client_name":"sallyport","redirect_uris":[)" + json::Quote(link->oauth->redirect_uri()) +
      R"(],"grant_types":["authorization_code","refresh_token"],"response_types":["code"])"
      R"(,"application_type":"web","token_endpoint_auth_method":"none"})");
  reply.headers.Add("Cache-Control", "public, max-age=300");
  co_return reply;
}

}  // namespace

const UpstreamLink* UpstreamLinks::Find(std::string_view connection) const {
  for (const UpstreamLink& link : links_) {
    if (link.oauth->connection() == connection) return &link;
  }
  return nullptr;
}

void UpstreamLinks::Stop() {
  stop_.request_stop();
  workers_.Stop();
}

Task<> UpstreamLinks::Run(std::function<void()> work) {
  if (*waiting_ >= kMostWaiting)
    co_return Fail(Errc::limit_exceeded, "Too many at once; try again in a moment");
  ++*waiting_;
  co_return co_await workers_.Run(
      [waiting = waiting_, work = std::move(work)] {
        work();
        --*waiting;
      },
      kWithin);
}

void AddUpstreamLink(Router& router) {
  router.Add({.method = "GET", .path = "/upstream-link", .needs = Needs::person, .handler = Ask});
  router.Add({.method = "POST",
              .path = "/upstream-link",
              .needs = Needs::person,
              .handler = Decide,
              .works = true});
  router.Add({.method = "GET",
              .path = "/upstream-link/callback/:connection",
              .needs = Needs::nobody,
              .handler = Callback});
  router.Add({.method = "GET",
              .path = "/upstream-link/client/:connection",
              .needs = Needs::nobody,
              .handler = Document});
}

}  // namespace sallyport::api
