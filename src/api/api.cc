#include "api/api.h"

#include "access/token.h"
#include "api/change_feed.h"
#include "api/cookies.h"
#include "api/device_logins.h"
#include "api/endpoints.h"
#include "api/exchange.h"
#include "api/logins.h"
#include "api/oauth_server.h"
#include "api/saml_logins.h"
#include "api/web_session.h"
#include "net/cross_origin.h"
#include "net/event.h"
#include "obs/log.h"
#include "obs/metrics.h"

namespace sallyport::api {
namespace {

constexpr std::chrono::seconds kVerifyLimit{5};
constexpr std::string_view kPolicy =
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src "
    "'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; "
    "require-trusted-types-for 'script'";

std::string Trimmed(std::string url) {
  while (url.ends_with('/')) url.pop_back();
  return url;
}

bool Changes(std::string_view method) { return method != "GET" && method != "HEAD"; }

/// Only what says which gateway is meant, for what forms of other sites may be sent to.
net::Headers HostOf(const net::Headers& headers) {
  net::Headers out;
  for (const auto& [name, value] : headers.fields()) {
    if (net::SameName(name, "Host")) out.Add(name, value);
  }
  return out;
}

void AddSecurityHeaders(net::Headers& headers, bool secure) {
  headers.Add("Content-Security-Policy", std::string(kPolicy));
  headers.Add("X-Content-Type-Options", "nosniff");
  headers.Add("X-Frame-Options", "DENY");
  // Not no-referrer: with it a browser says `Origin: null` of a form on our own pages (Fetch,
  // section 3.2), which nothing tells from a foreign one. Other origins get neither path nor
  // origin.
  headers.Add("Referrer-Policy", "same-origin");
  headers.Add("Cross-Origin-Opener-Policy", "same-origin");
  headers.Add("Cross-Origin-Resource-Policy", "same-origin");
  if (headers.Count("Cache-Control") == 0) headers.Add("Cache-Control", "no-store");
  if (secure) headers.Add("Strict-Transport-Security", "max-age=31536000");
}

}  // namespace

Api::Api(Options options)
    : router_(MakeRouter(options.oauth != nullptr,
                         options.oauth && options.oauth->config().registration)),
      origins_(options.public_url, options.allowed_hosts, {}),
      logins_(std::make_unique<Logins>(std::move(options.logins), options.clock)),
      devices_(std::make_unique<DeviceLogins>(options.clock)),
      exchanged_(std::make_unique<Exchanged>(options.clock)),
      saml_(std::make_unique<SamlLogins>(*logins_, saml::Verifier(), std::move(options.saml_signer),
                                         options.clock)),
      signals_({.sessions = options.sessions,
                .gate = options.gate,
                .clock = options.clock,
                .replays = options.replays,
                .transmitters = options.transmitters,
                .sources = std::move(options.signals)}),
      oauth_(std::move(options.oauth)),
      upstream_links_(std::make_unique<UpstreamLinks>(std::move(options.upstream_links))),
      reviews_(std::move(options.reviews)),
      parts_{.gate = options.gate,
             .sessions = options.sessions,
             .verifier = options.verifier,
             .clock = options.clock,
             .public_url = Trimmed(std::move(options.public_url)),
             .secure = false,
             .has_role = std::move(options.has_role),
             .strong = std::move(options.strong),
             .acr_values = std::move(options.acr_values),
             .mask = std::move(options.mask),
             .logins = logins_.get(),
             .devices = devices_.get(),
             .exchanged = exchanged_.get(),
             .saml = saml_.get(),
             .oauth = oauth_.get(),
             .signals = &signals_,
             .refusals = &refusals_,
             .offboarding = std::move(options.offboarding),
             .groups_from = std::move(options.groups_from),
             .desk = options.desk,
             .passkeys = options.passkeys,
             .issuer_keys = options.issuer_keys,
             .upstream_links = upstream_links_.get(),
             .reviews = reviews_.get(),
             .changes = std::make_shared<ChangeFeed>()} {
  parts_.secure = parts_.public_url.starts_with("https://");
  SetOrigins(options.allowed_hosts, options.allowed_origins);
  for (SsfPoll::Options& poll : options.event_polls)
    event_polls_.push_back(std::make_unique<SsfPoll>(std::move(poll), signals_, workers_));
  std::vector<PersonPoll::Source> asked;
  for (const PersonPollSource& poll : options.person_polls) {
    if (const LoginProvider* provider = logins_->Provider(poll.provider))
      asked.push_back({provider, poll.every, poll.unreachable_for});
  }
  person_poll_ = std::make_unique<PersonPoll>(PersonPoll::Options{.sessions = options.sessions,
                                                                  .logins = *logins_,
                                                                  .workers = workers_,
                                                                  .grants = options.grants,
                                                                  .clock = options.clock,
                                                                  .sources = std::move(asked)});
  parts_.person_poll = person_poll_.get();
}

Api::~Api() = default;

Result<> Visit::HasRole(std::initializer_list<std::string_view> roles, const char* refusal) const {
  Result<> why = Fail(Errc::policy_default_deny, refusal);
  for (const std::string_view role : roles) {
    if (!parts.has_role(who(), role)) continue;
    why = parts.strong(who(), role);
    if (why) return {};
  }
  return why;
}

void Api::SetOrigins(const std::vector<std::string>& hosts,
                     const std::vector<std::string>& origins) {
  web_origins_.store(std::make_shared<const net::OriginCheck>(parts_.public_url, hosts, origins));
}

void Api::Tell(const approval::Request& request) { parts_.changes->Tell(request); }
void Api::EndStreams() { parts_.changes->Close(); }

void Api::Start(boost::asio::any_io_executor executor) {
  for (const auto& poll : event_polls_) net::Spawn(executor, poll->Run());
  net::Spawn(executor, person_poll_->Run());
  obs::Metrics().ObserveBy("sallyport_ssf_poll_age_seconds",
                           "Since a stream of security events was last read", "provider", [this] {
                             std::map<std::string, double> samples;
                             for (const auto& poll : event_polls_)
                               samples[poll->provider()] = poll->age();
                             return samples;
                           });
}

void Api::Stop() {
  for (const auto& poll : event_polls_) poll->Stop();
  person_poll_->Stop();
  workers_.Stop();
  logins_->Stop();
  if (oauth_) oauth_->Stop();
  upstream_links_->Stop();
}

bool Api::Takes(std::string_view path) {
  return !path.starts_with("/mcp/") && !path.starts_with("/.well-known/oauth-protected-resource");
}

void Api::Record(op::EventType type, const net::HttpRequest& request, const Error& error) {
  op::Evidence evidence;
  evidence.type = type;
  evidence.address = request.address;
  evidence.method = "api";
  evidence.reason = error.code;
  evidence.ok = false;
  (void)parts_.gate.Record(std::move(evidence));
}

Task<Caller> Api::FromBearer(const net::HttpRequest& request) {
  if (request.headers.Count("Authorization") > 1)
    co_return Fail(Errc::request_malformed, "the Authorization field occurs twice");
  identity::Shown shown{.authorization = *request.headers.Find("Authorization"),
                        .proofs = request.headers.Count("DPoP"),
                        .proof = request.headers.Find("DPoP").value_or(""),
                        .method = request.method,
                        .url = {},
                        .certificate = request.certificate.get()};
  identity::VerifiedPtr known = parts_.verifier.Known(shown, parts_.public_url);
  if (!known) {
    const Nanos now = parts_.clock.SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
    shown.url = parts_.public_url + std::string(request.path());
    auto verified = co_await parts_.verifier.Admit(
        std::move(shown), std::chrono::steady_clock::now() + kVerifyLimit, parts_.public_url,
        [&]() -> Result<> {
          if (refusals_.Ask(request.address, now).wait_seconds == 0) return {};
          return Fail(Errc::rate_limited, "too many credentials from this address were refused");
        });
    if (!verified) {
      if (verified.error().code == Errc::rate_limited)
        co_return std::unexpected(std::move(verified.error()));
      if (verified.error().code != Errc::identity_provider_down)
        refusals_.Add(request.address, now);
      Record(op::EventType::auth_failure, request, verified.error());
      co_return std::unexpected(std::move(verified.error()));
    }
    known = std::move(*verified);
  }
  co_return Caller{.who = known->principal,
                   .live = known->live,
                   .by_cookie = false,
                   .token = {},
                   .groups_note = known->groups_note};
}

Task<Caller> Api::Identify(const net::HttpRequest& request) {
  if (request.headers.Count("Authorization") > 0) co_return co_await FromBearer(request);
  // A browser that has a certificate may be signed in beside it.
  auto browser = BrowserOf(parts_, request);
  if (browser || browser.error().code != Errc::token_missing || request.certificate == nullptr)
    co_return browser;
  auto agent = parts_.verifier.ByCertificate(*request.certificate);
  if (!agent && agent.error().code == Errc::token_missing) co_return browser;
  if (!agent) co_return std::unexpected(std::move(agent.error()));
  co_return Caller{.who = (*agent)->principal, .live = nullptr, .by_cookie = false, .token = {}};
}

/// A browser says where a request that changes something comes from: one that does not is not a
/// browser of ours.
Result<> Api::CheckOwnPage(const net::HttpRequest& request) const {
  const auto site = request.headers.Find("Sec-Fetch-Site");
  const bool origin = request.headers.Find("Origin").has_value();  // ours: it was checked
  if ((site && *site != "same-origin") || (!site && !origin))
    return Fail(Errc::origin_refused, "the request does not come from a page of this gateway");
  if (request.path().starts_with("/api/") && request.headers.Find("X-Sallyport") != "1")
    return Fail(Errc::header_invalid, "the header field X-Sallyport: 1 is missing");
  return {};
}

boost::asio::awaitable<Reply> Api::Answer(net::HttpExchange& exchange) {
  const net::HttpRequest& request = exchange.request();
  const auto refuse = [&](const Error& error) {
    Record(op::EventType::request_refused, request, error);
    return Problem(error);
  };
  const bool preflight = net::IsPreflight(request);
  Router::Match match = router_.Find(
      preflight ? *request.headers.Find("Access-Control-Request-Method") : request.method,
      request.path());
  const bool foreign = match.route != nullptr && match.route->foreign;
  const bool web = match.route != nullptr && match.route->web;
  const auto web_origins = web_origins_.load();
  const auto allowed =
      (web ? *web_origins : origins_).Check(foreign ? HostOf(request.headers) : request.headers);
  if (!allowed) co_return refuse(allowed.error());
  if (web) {
    const std::string* listed = web_origins->Listed(request.headers);
    net::SharedWith(listed, exchange);
    if (listed != nullptr && preflight) {
      co_await net::AnswerPreflight(exchange, match.route->method);
      co_return Reply{.sent = true};
    }
  }
  if (preflight) co_return Problem(Error(Errc::method_not_allowed));
  if (match.route == nullptr) {
    co_return Problem(match.known ? Error(Errc::method_not_allowed) : Error(Errc::not_found));
  }
  const Route& route = *match.route;
  Visit visit{.parts = parts_,
              .exchange = exchange,
              .query = Form(request.query()),
              .path = std::move(match.params),
              .caller = std::nullopt};
  const bool cookie = FindCookie(request.headers, kSessionCookie, parts_.secure).has_value();
  if (!foreign && Changes(request.method) && cookie &&
      request.headers.Count("Authorization") == 0) {
    if (const auto own = CheckOwnPage(request); !own) co_return refuse(own.error());
  }
  if (route.needs != Needs::nobody) {
    auto caller =
        route.needs == Needs::person ? BrowserOf(parts_, request) : co_await Identify(request);
    if (!caller && route.needs == Needs::person && !Changes(request.method))
      co_return Redirect("/login?next=" + PercentEncode(request.target));
    if (!caller) co_return Problem(caller.error());
    visit.caller = std::move(*caller);
    // Limits are about what goes through the gate: to decide, revoke or sign for others is no part
    // of them.
    if (visit.who().grant && Changes(request.method) && !route.limited)
      co_return refuse(Error(Errc::grant_exceeded, "not from a session with limits"));
  }
  access::Work work;
  if (route.works && visit.caller) {
    auto begun = access::Work::Begin(visit.caller->live);
    if (!begun) co_return Problem(begun.error());
    work = std::move(*begun);
  }
  co_return co_await route.handler(visit);
}

boost::asio::awaitable<void> Api::Handle(net::HttpExchange& exchange) {
  Reply reply;
  try {
    reply = co_await Answer(exchange);
  } catch (const std::exception& e) {
    obs::Log(obs::Level::error, "api.exception", {{"what", e.what()}});
    reply = Problem(Error(Errc::internal));
  }
  if (reply.sent) co_return;
  if (reply.step_up) {  // RFC 9470 section 3
    std::string challenge = R"(Bearer error="insufficient_user_authentication")";
    challenge += R"(, error_description="mfa-required")";
    if (!parts_.acr_values.empty()) challenge += ", acr_values=\"" + parts_.acr_values + '"';
    reply.headers.Add("WWW-Authenticate", challenge + ", max_age=0");
  }
  AddSecurityHeaders(reply.headers, parts_.secure);
  if (exchange.request().method == "HEAD") reply.body.clear();
  (void)co_await exchange.Respond(reply.status, std::move(reply.headers), std::move(reply.body));
}

}  // namespace sallyport::api
