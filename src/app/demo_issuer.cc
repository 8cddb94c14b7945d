#include "app/demo_issuer.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/clock.h"
#include "base/ids.h"

namespace sallyport::app {
namespace {

constexpr int64_t kTokenSeconds = 8 * 3600;

/// The value of `name` in an application/x-www-form-urlencoded body; enough for our own token
/// endpoint.
std::string FormValue(std::string_view form, std::string_view name) {
  while (!form.empty()) {
    const size_t end = std::min(form.find('&'), form.size());
    const std::string_view pair = form.substr(0, end);
    form.remove_prefix(std::min(end + 1, form.size()));
    const size_t eq = pair.find('=');
    if (eq != std::string_view::npos && pair.substr(0, eq) == name)
      return std::string(pair.substr(eq + 1));
  }
  return {};
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
                        {"grant_types_supported", {"client_credentials"}},
                        {"token_endpoint_auth_methods_supported", {"client_secret_post"}},
                        {"code_challenge_methods_supported", {"S256"}},
                        {"id_token_signing_alg_values_supported", {"ES256"}}}
      .dump();
}

std::string DemoIssuer::TokenResponse(std::string_view form, int& status) const {
  status = 400;
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

boost::asio::awaitable<void> DemoIssuer::Handle(net::HttpExchange& exchange) const {
  const net::HttpRequest& request = exchange.request();
  int status = 200;
  std::string body;
  if (request.path() == "/.well-known/openid-configuration" ||
      request.path() == "/.well-known/oauth-authorization-server") {
    body = Discovery();
  } else if (request.path() == "/jwks") {
    body = identity::Jwks({signer_.PublicJwk()});
  } else if (request.path() == "/token" && request.method == "POST") {
    body = TokenResponse(request.body, status);
  } else {
    status = 404;
    body = R"({"error":"not_found"})";
  }
  net::Headers headers{{"Content-Type", "application/json"}, {"Cache-Control", "no-store"}};
  (void)co_await exchange.Respond(status, std::move(headers), std::move(body));
}

}  // namespace sallyport::app
