// GET /oauth/authorize: an MCP client sends a person here, who signs in and says whether the client
// may work in their name; the client gets a code on its redirect URI (RFC 6749 section 4.1, RFC
// 7636, 8252, 8707, 9207, 9700).
#include <algorithm>
#include <array>

#include "api/body.h"
#include "api/endpoints.h"
#include "api/oauth_server.h"
#include "api/web_session.h"

namespace sallyport::api {
namespace {

using oauth::Client;
using oauth::RedirectUri;

constexpr size_t kLongestQuery = 8192, kLongestState = 2048;

/// A request that may be put before its person.
struct Asked {
  Client client;
  RedirectUri redirect;
  std::string state, challenge, scope;
  std::string resource;  // as it was written
  OauthServer::Resource target;
  bool ask_again = false;
};

/// Why there is nothing to put before anybody. `oauth` is empty as long as nobody knows whether the
/// redirect is the client's: then a page says it, and nothing is sent anywhere.
struct Refusal {
  std::string_view oauth;
  Error error;
};

bool ReadOnly(std::string_view scope) { return scope == kScopeRead; }

/// What is read before the redirect is trusted.
std::optional<Error> FindClient(const OauthServer& server, const Form& form, Asked& asked) {
  for (const char* name : {"client_id", "redirect_uri", "state", "response_mode"}) {
    if (form.Has(name) && !form.Find(name))
      return Error(Errc::request_malformed, std::string(name) + " stands in the link twice");
  }
  if (form.Get("client_id").empty()) return Error(Errc::request_malformed, "client_id is missing");
  auto client = server.Find(form.Get("client_id"));
  if (!client) return client.error();
  asked.client = std::move(*client);
  if (form.Get("redirect_uri").empty())
    return Error(Errc::request_malformed, "redirect_uri is missing");
  auto redirect = RedirectUri::Parse(form.Get("redirect_uri"), true);
  if (!redirect) return redirect.error();
  asked.redirect = std::move(*redirect);
  if (asked.client.Find(asked.redirect) == nullptr)
    return Error(Errc::request_malformed, "redirect_uri is none that the client has registered");
  asked.state = form.Get("state");
  const bool clean = std::ranges::all_of(
      asked.state, [](char c) { return static_cast<unsigned char>(c) >= 0x20 && c != 0x7f; });
  if (asked.state.size() > kLongestState || !clean)
    return Error(Errc::request_malformed, "state is longer than 2048 bytes, or holds a line end");
  return std::nullopt;
}

std::optional<Refusal> ReadRest(const OauthServer& server, const Form& form, Asked& asked) {
  const auto bad = [](std::string_view oauth, const char* what) {
    return Refusal{oauth, Error(Errc::request_malformed, what)};
  };
  for (const char* name :
       {"response_type", "code_challenge", "code_challenge_method", "scope", "prompt"}) {
    if (form.Has(name) && !form.Find(name))
      return bad("invalid_request", "a parameter stands in the link twice");
  }
  if (form.Has("request")) return bad("request_not_supported", "request objects are not taken");
  if (form.Has("request_uri"))
    return bad("request_uri_not_supported", "request objects are not taken");
  if (form.Get("response_type") != "code")
    return bad("unsupported_response_type", "response_type has to be code");
  if (form.Has("response_mode") && form.Get("response_mode") != "query")
    return bad("invalid_request", "response_mode can only be query");
  asked.challenge = form.Get("code_challenge");
  const bool whole =
      asked.challenge.size() == 43 &&
      asked.challenge.find_first_not_of(
          "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos;
  if (!whole || form.Get("code_challenge_method") != "S256")
    return bad("invalid_request", "PKCE is required: code_challenge, of the method S256");
  if (!form.Has("resource")) return bad("invalid_target", "resource is missing (RFC 8707)");
  asked.resource = form.Get("resource");
  const auto target = server.ResourceOf(asked.resource);
  if (!target)
    return bad("invalid_target", "resource has to be one MCP connection of this gateway");
  asked.target = *target;
  asked.scope = KnownScopes(form.Get("scope"));
  asked.ask_again = form.Get("prompt") == "consent" || form.Get("prompt") == "login";
  if (form.Get("prompt") == "none")
    return bad("interaction_required", "nobody is signed in without being seen");
  return std::nullopt;
}

/// Whose answer it is stands in it (RFC 9207), whether it is good or not.
std::string AnswerUrl(const OauthServer& server, const Asked& asked,
                      std::vector<std::pair<std::string_view, std::string_view>> fields) {
  std::string url = asked.redirect.text;
  char separator = url.find('?') == url.npos ? '?' : '&';
  if (!asked.state.empty()) fields.emplace_back("state", asked.state);
  fields.emplace_back("iss", server.issuer());
  for (const auto& [name, value] : fields) {
    url += std::exchange(separator, '&');
    url.append(name).append("=").append(PercentEncode(value));
  }
  return url;
}

std::string About(const Asked& asked) {
  return "client " + asked.client.label + ", redirect " + asked.redirect.text;
}

Reply Sorry(const Error& error) {
  return Page("This cannot go on",
              "<h1>A program cannot be signed in</h1>\n<p>It has sent you here with a request that "
              "this gateway does not take: " +
                  Escape(error.detail) + ".</p>\n<p><code>" + std::string(ReasonCode(error.code)) +
                  "</code></p>",
              StatusOf(error.code));
}

/// To the client's redirect. Answers to forms are no redirects: form-action 'self' would hold for
/// those too.
Reply SendTo(const std::string& url, const Asked& asked, bool after_form) {
  if (!after_form) return Redirect(url);
  Reply reply =
      Page("Go back to the program",
           "<h1>Go back to the program</h1>\n<p>If it does not go on by itself: <a "
           "href=\"" +
               Escape(url) + "\">continue at " + Escape(asked.redirect.host) + "</a>.</p>");
  reply.headers.Add("Refresh", "0; url=" + url);
  return reply;
}

/// Recorded, then told: to the client if its redirect is known, else on a page.
Reply Refuse(const Visit& visit, const Asked& asked, const Refusal& refusal,
             bool after_form = false) {
  const Error error =
      RecordRefusal(visit, "oauth", refusal.error, visit.caller ? &visit.who() : nullptr,
                    asked.client.id.empty() ? "" : About(asked));
  if (refusal.oauth.empty() || StatusOf(error.code) >= 500) return Sorry(error);
  const std::string url = AnswerUrl(
      *visit.parts.oauth, asked, {{"error", refusal.oauth}, {"error_description", error.detail}});
  // Whoever has registered itself may have done so for this link: nobody is sent there unseen (RFC
  // 9700 section 4.11.2).
  if (asked.client.kind != Client::Kind::registered ||
      asked.redirect.kind == RedirectUri::Kind::loopback)
    return SendTo(url, asked, after_form);
  return Page("This cannot go on",
              "<h1>A program cannot be signed in</h1>\n<p>" + Escape(error.detail) +
                  ".</p>\n<p>It is told so if you <a href=\"" + Escape(url) + "\">go back to " +
                  Escape(asked.redirect.host) + "</a>.</p>",
              400);
}

/// What the query asks for, or why not.
std::optional<Refusal> Read(const OauthServer& server, std::string_view query, Asked& asked) {
  const Form form(query);
  if (auto error = FindClient(server, form, asked)) return Refusal{{}, std::move(*error)};
  return ReadRest(server, form, asked);
}

boost::asio::awaitable<Reply> Authorize(Visit& visit) {
  OauthServer& server = *visit.parts.oauth;
  const std::string_view query = visit.request().query();
  Asked asked;
  if (query.size() > kLongestQuery)
    co_return Refuse(visit, asked, {{}, Error(Errc::request_too_large, "the link is too long")});
  // A document is read for people who are signed in: the rest is looked at then.
  const std::string client_id = Form(query).Get("client_id");
  if (OauthDocuments::IsUrl(client_id)) {
    if (const auto good = server.documents().Check(client_id); !good)
      co_return Refuse(visit, asked, {{}, good.error()});
  } else if (const auto refusal = Read(server, query, asked)) {
    co_return Refuse(visit, asked, *refusal);
  }
  co_return Redirect("/oauth/consent?request=" + server.Keep(std::string(query)));
}

std::string Row(std::string_view name, const std::string& value) {
  return "<dt>" + std::string(name) + "</dt><dd>" + Escape(value) + "</dd>";
}

/// Who the client is, by what is certain; its own words stand last and are marked.
std::string WhoAsks(const Asked& asked) {
  const Client& client = asked.client;
  const RedirectUri& redirect = asked.redirect;
  std::string rows;
  if (client.kind == Client::Kind::configured) rows += Row("Program", client.name);
  if (client.kind == Client::Kind::document) rows += Row("Program of", client.host);
  if (client.kind == Client::Kind::registered) rows += Row("Program", "one that nobody here knows");
  rows += Row("Goes back to", redirect.kind == RedirectUri::Kind::loopback
                                  ? "a program on this computer (" + redirect.host + ")"
                              : redirect.kind == RedirectUri::Kind::native
                                  ? "the program on this computer that opens " + redirect.host + ":"
                                  : redirect.host);
  rows += Row("Works with", asked.target.connection.empty()
                                ? "all connections"
                                : "the connection " + asked.target.connection + " only");
  rows += Row("May", ReadOnly(asked.scope) ? "read, of what the rules let you do"
                                           : "do all that the rules let you do there");
  if (client.kind != Client::Kind::configured && !client.name.empty())
    rows += Row("Calls itself", client.name + " (nobody has checked that)");
  return rows;
}

Reply Question(const Visit& visit, const Asked& asked, const std::string& handle) {
  const auto hidden = [](std::string_view name, std::string_view value) {
    return "<input type=\"hidden\" name=\"" + std::string(name) + "\" value=\"" + Escape(value) +
           "\">\n";
  };
  return Page(
      "Let a program in?",
      "<h1>Let this program work as " + Escape(visit.who().name) + "?</h1>\n<dl class=\"facts\">" +
          WhoAsks(asked) + Row("You are", visit.who().name + " of " + visit.who().provider) +
          "</dl>\n<div class=\"notice wait\"><p>Go on only if you have just started to connect "
          "this "
          "program yourself. You can end its session under <a href=\"/sessions\">Sessions</a>, or "
          "<a href=\"/logout\">sign out</a> if you are somebody else.</p></div>\n"
          "<form method=\"post\" action=\"/oauth/consent\">\n" +
          hidden("form", FormToken(*visit.caller)) + hidden("request", handle) +
          "<div class=\"choice\"><button class=\"no\" name=\"decision\" value=\"deny\">Refuse"
          "</button> <button class=\"yes\" name=\"decision\" value=\"allow\">Let it in</button>"
          "</div>\n</form>");
}

oauth::Consent ConsentOf(const Visit& visit, const Asked& asked) {
  return {.issuer = visit.who().issuer,
          .subject = visit.who().subject,
          .client = asked.client.id,
          .redirect = asked.redirect.Portless(),
          .resource = asked.target.bound,
          .scope = asked.scope};
}

/// A program on the person's machine cannot prove that it is the one that was agreed to (RFC 8252
/// section 8.6): its person is asked each time.
bool MayRemember(const Asked& asked) { return asked.redirect.kind == RedirectUri::Kind::web; }

Result<> RecordConsent(const Visit& visit, const Asked& asked, bool yes, const char* detail) {
  op::AccessEvidence access;
  access.session = visit.caller->live->id;
  access.whom = &visit.who();
  access.by = visit.who().name;
  access.why = visit.parts.mask(About(asked) + ", scope " + asked.scope).text;
  op::Evidence e;
  e.type = op::EventType::consent_decided;
  e.address = visit.request().address;
  e.connection = asked.target.connection;
  e.method = "oauth";
  e.resource = asked.target.bound;
  e.ok = yes;
  if (!yes) e.reason = Errc::login_denied;
  e.access = &access;
  e.detail = detail;
  return visit.parts.gate.Record(std::move(e));
}

/// The session that the code will open.
access::Opening OpeningFor(const Visit& visit, const Asked& asked) {
  access::Opening opening = OpeningOf(*visit.parts.oauth, asked.client, asked.target, asked.scope);
  opening.who = visit.who();
  opening.who.client_id = asked.client.label;
  opening.client += " at " + visit.request().address;
  opening.authenticated_at = visit.caller->live->authenticated_at;
  return opening;
}

Reply Allow(const Visit& visit, const Asked& asked, bool after_form) {
  OauthServer& server = *visit.parts.oauth;
  const std::string code = server.grants().Issue({.client = asked.client.id,
                                                  .redirect_uri = asked.redirect.text,
                                                  .challenge = asked.challenge,
                                                  .resource = asked.resource,
                                                  .scope = asked.scope,
                                                  .opening = OpeningFor(visit, asked)});
  return SendTo(AnswerUrl(server, asked, {{"code", code}}), asked, after_form);
}

Error Gone() {
  return Error(Errc::state_invalid,
               "this request was answered already, or waited for more than ten minutes");
}

/// The request that waits under `handle`.
boost::asio::awaitable<std::optional<Reply>> Fetch(const Visit& visit, std::string handle,
                                                   Asked& asked, bool after_form) {
  OauthServer& server = *visit.parts.oauth;
  const auto query = server.Kept(handle);
  if (!query) co_return Sorry(Gone());
  const std::string client_id = Form(*query).Get("client_id");
  if (OauthDocuments::IsUrl(client_id)) {
    const auto prepared = co_await server.documents().Prepare(client_id);
    if (!prepared) co_return Refuse(visit, asked, {{}, prepared.error()}, after_form);
  }
  const auto refusal = Read(server, *query, asked);
  if (!refusal) co_return std::nullopt;
  server.Drop(handle);
  co_return Refuse(visit, asked, *refusal, after_form);
}

boost::asio::awaitable<Reply> Ask(Visit& visit) {
  OauthServer& server = *visit.parts.oauth;
  const std::string handle = visit.query.Get("request");
  Asked asked;
  if (auto sorry = co_await Fetch(visit, handle, asked, false)) co_return *std::move(sorry);
  if (!asked.ask_again && MayRemember(asked) && server.grants().Agreed(ConsentOf(visit, asked))) {
    if (!server.Drop(handle)) co_return Sorry(Gone());
    if (const auto recorded = RecordConsent(visit, asked, true, "as agreed before"); !recorded)
      co_return Problem(recorded.error());
    co_return Allow(visit, asked, false);
  }
  co_return Question(visit, asked, handle);
}

boost::asio::awaitable<Reply> Decide(Visit& visit) {
  OauthServer& server = *visit.parts.oauth;
  const auto form = ReadForm(visit);
  if (!form) co_return Problem(form.error());
  if (const auto own = CheckFormToken(*visit.caller, *form); !own) {
    co_return Problem(RecordRefusal(visit, "oauth", own.error(), &visit.who()));
  }
  const std::string handle = form->Get("request"), decision = form->Get("decision");
  if (decision != "allow" && decision != "deny")
    co_return Problem(Error(Errc::request_malformed, "decision is neither allow nor deny"));
  Asked asked;
  if (auto sorry = co_await Fetch(visit, handle, asked, true)) co_return *std::move(sorry);
  if (!server.Drop(handle)) co_return Sorry(Gone());
  if (const auto recorded = RecordConsent(visit, asked, decision == "allow", ""); !recorded)
    co_return Problem(recorded.error());
  if (decision == "deny") {
    co_return SendTo(
        AnswerUrl(server, asked,
                  {{"error", "access_denied"}, {"error_description", "the person said no"}}),
        asked, true);
  }
  if (MayRemember(asked)) {
    if (const auto kept = co_await server.grants().Agree(ConsentOf(visit, asked)); !kept)
      co_return Problem(kept.error());
  }
  co_return Allow(visit, asked, true);
}

}  // namespace

void AddOauthAuthorize(Router& router) {
  router.Add(
      {.method = "GET", .path = "/oauth/authorize", .needs = Needs::nobody, .handler = Authorize});
  router.Add({.method = "GET", .path = "/oauth/consent", .needs = Needs::person, .handler = Ask});
  router.Add({.method = "POST",
              .path = "/oauth/consent",
              .needs = Needs::person,
              .handler = Decide,
              .works = true});
}

}  // namespace sallyport::api
