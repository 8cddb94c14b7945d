#include "app/demo_issuer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "api/form.h"
#include "api/logins.h"
#include "api/reply.h"
#include "base/clock.h"
#include "base/ids.h"

namespace sallyport::app {
namespace {

constexpr int64_t kTokenSeconds = 8 * 3600;

constexpr std::string_view kConsole = "sallyport-console";  // the gate's registration here
constexpr Nanos kCodeFor = Nanos(120) * 1'000'000'000;

std::string FormValue(std::string_view form, std::string_view name) {
  return api::Form(form).Get(name);
}

}  // namespace

const std::vector<DemoIssuer::Caller>& DemoIssuer::Callers() {
  static const std::vector<Caller> callers{
      {"agent-refunds", true, {}},
      {"ana", false, {"analysts"}},
      {"support", false, {"support"}},
      {"lead", false, {"payments-leads"}},
      {"auditor", false, {"internal-audit"}},
      {"contractor", false, {"contractors"}},
      {"admin", false, {"gate-admins"}},
  };
  return callers;
}

DemoIssuer::DemoIssuer(identity::Signer signer, std::string issuer, std::string audience)
    : signer_(std::move(signer)), issuer_(std::move(issuer)), audience_(std::move(audience)) {}

Result<std::unique_ptr<DemoIssuer>> DemoIssuer::Start(net::Shards& shards, uint16_t port,
                                                      std::string audience) {
  SALLYPORT_TRY(identity::Signer signer,
                identity::Signer::Generate(identity::Alg::es256, "dev-" + NewId("")));
  const std::string address = "127.0.0.1:" + std::to_string(port);
  std::unique_ptr<DemoIssuer> self(
      new DemoIssuer(std::move(signer), "http://" + address, std::move(audience)));
  net::HttpServer::Options options;
  options.address = address;
  options.handler = [issuer = self.get()](net::HttpExchange& exchange) {
    return issuer->Handle(exchange);
  };
  SALLYPORT_TRY(self->server_, net::HttpServer::Listen(shards, std::move(options)));
  return self;
}

Result<std::string> DemoIssuer::Token(std::string_view name, std::string_view audience) const {
  const auto& callers = Callers();
  const auto caller =
      std::find_if(callers.begin(), callers.end(), [&](const Caller& c) { return c.name == name; });
  if (caller == callers.end()) return Fail(Errc::not_found, "no such demo caller");
  const int64_t now = SystemClock().WallNow() / 1'000'000'000;
  const nlohmann::json claims{{"iss", issuer_},
                              {"aud", audience},
                              {"sub", caller->agent ? caller->name : "user-" + caller->name},
                              {"client_id", caller->agent ? caller->name : "sallyport-cli"},
                              {"email", caller->name + "@example.com"},
                              {"groups", caller->groups},
                              {"iat", now},
                              {"exp", now + kTokenSeconds},
                              {"jti", NewId("t_")}};
  return signer_.Sign(claims.dump());
}

std::string DemoIssuer::Discovery() const {
  return nlohmann::json{{"issuer", issuer_},
                        {"jwks_uri", issuer_ + "/jwks"},
                        {"token_endpoint", token_endpoint()},
                        {"authorization_endpoint", issuer_ + "/authorize"},
                        {"response_types_supported", {"code"}},
                        {"subject_types_supported", {"public"}},
                        {"grant_types_supported", {"authorization_code", "client_credentials"}},
                        {"token_endpoint_auth_methods_supported", {"client_secret_post", "none"}},
                        {"authorization_response_iss_parameter_supported", true},
                        {"code_challenge_methods_supported", {"S256"}},
                        {"id_token_signing_alg_values_supported", {"ES256"}}}
      .dump();
}

bool DemoIssuer::IsOurLogin(std::string_view query) const {
  const api::Form form(query);
  return form.Find("client_id") == kConsole && form.Find("response_type") == "code" &&
         form.Find("redirect_uri") == audience_ + "/login/callback" &&
         form.Find("code_challenge_method") == "S256" && !form.Get("code_challenge").empty();
}

/// One button per person.
std::string DemoIssuer::ChoicePage(std::string_view query) const {
  std::string body =
      "<h1>Who do you want to be?</h1>\n<p>This is the identity provider of "
      "<code>sallyport dev</code>: no passwords, made-up people.</p>\n<ul>\n";
  for (const Caller& caller : Callers()) {
    if (caller.agent) continue;
    body += "<li><a href=\"/authorize/as?" + api::Escape(query) + "&amp;person=" + caller.name +
            "\">" + caller.name + "</a> (" + caller.groups.front() + ")</li>\n";
  }
  return api::Page("Demo login", body + "</ul>").body;
}

/// The way back to the gate with a code; empty: no such person.
std::string DemoIssuer::Choose(std::string_view query) {
  const api::Form form(query);
  const std::string person = form.Get("person");
  const auto& callers = Callers();
  if (std::ranges::none_of(callers, [&](const Caller& c) { return c.name == person && !c.agent; }))
    return {};
  const Nanos now = SystemClock().WallNow();
  std::string code = NewHandle(24);
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(logins_, [&](const auto& entry) { return entry.second.until <= now; });
    logins_[code] = {person, form.Get("nonce"), form.Get("code_challenge"),
                     form.Get("redirect_uri"), now + kCodeFor};
  }
  return form.Get("redirect_uri") + "?code=" + code +
         "&state=" + api::PercentEncode(form.Get("state")) + "&iss=" + api::PercentEncode(issuer_);
}

std::string DemoIssuer::CodeResponse(std::string_view form, int& status) {
  Login login;
  {
    const std::lock_guard lock(mutex_);
    const auto found = logins_.find(FormValue(form, "code"));
    if (found != logins_.end()) {
      login = std::move(found->second);
      logins_.erase(found);
    }
  }
  const Nanos now = SystemClock().WallNow();
  if (login.until <= now || FormValue(form, "redirect_uri") != login.redirect_uri ||
      FormValue(form, "client_id") != kConsole ||
      api::Challenge(FormValue(form, "code_verifier")) != login.challenge) {
    return R"({"error":"invalid_grant"})";
  }
  const auto& callers = Callers();
  const auto caller = std::ranges::find(callers, login.person, &Caller::name);
  const int64_t seconds = now / 1'000'000'000;
  const nlohmann::json claims{{"iss", issuer_},
                              {"aud", kConsole},
                              {"sub", "user-" + login.person},
                              {"email", login.person + "@example.com"},
                              {"groups", caller->groups},
                              {"nonce", login.nonce},
                              {"iat", seconds},
                              {"auth_time", seconds},
                              {"exp", seconds + 300}};
  const auto id_token = signer_.Sign(claims.dump(), "JWT");
  const auto access_token = Token(login.person);
  if (!id_token || !access_token) return R"({"error":"server_error"})";
  status = 200;
  return nlohmann::json{{"access_token", *access_token},
                        {"id_token", *id_token},
                        {"token_type", "Bearer"},
                        {"expires_in", kTokenSeconds}}
      .dump();
}

std::string DemoIssuer::TokenResponse(std::string_view form, int& status) {
  status = 400;
  if (FormValue(form, "grant_type") == "authorization_code") return CodeResponse(form, status);
  if (FormValue(form, "grant_type") != "client_credentials") {
    return R"({"error":"unsupported_grant_type"})";
  }
  const Result<std::string> token = Token(FormValue(form, "client_id"));
  if (!token || FormValue(form, "client_secret") != "dev") {
    status = 401;
    return R"({"error":"invalid_client"})";
  }
  status = 200;
  return nlohmann::json{
      {"access_token", *token}, {"token_type", "Bearer"}, {"expires_in", kTokenSeconds}}
      .dump();
}

boost::asio::awaitable<void> DemoIssuer::Handle(net::HttpExchange& exchange) {
  const net::HttpRequest& request = exchange.request();
  int status = 200;
  std::string body;
  net::Headers headers{{"Cache-Control", "no-store"}};
  std::string type = "application/json";
  if (request.path() == "/.well-known/openid-configuration" ||
      request.path() == "/.well-known/oauth-authorization-server") {
    body = Discovery();
  } else if (request.path() == "/jwks") {
    body = identity::Jwks({signer_.PublicJwk()});
  } else if (request.path() == "/token" && request.method == "POST") {
    body = TokenResponse(request.body, status);
  } else if (request.path() == "/authorize" && IsOurLogin(request.query())) {
    body = ChoicePage(request.query());
    type = "text/html; charset=utf-8";
  } else if (request.path() == "/authorize/as" && IsOurLogin(request.query())) {
    const std::string back = Choose(request.query());
    status = back.empty() ? 400 : 303;
    if (!back.empty()) headers.Add("Location", back);
  } else {
    status = 404;
    body = R"({"error":"not_found"})";
  }
  headers.Add("Content-Type", type);
  (void)co_await exchange.Respond(status, std::move(headers), std::move(body));
}

}  // namespace sallyport::app
