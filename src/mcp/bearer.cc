#include "mcp/bearer.h"

#include "identity/dpop.h"
#include "json/document.h"
#include "mcp/answer_http.h"
#include "obs/metrics.h"

namespace sallyport::mcp {
namespace {

constexpr std::chrono::seconds kVerifyLimit{5};

Nanos NowOf(const Front& front) {
  return front.options.clock.SteadyNow().time_since_epoch() / std::chrono::nanoseconds(1);
}

/// rate_limited: too many credentials from this address were refused, so this one is not read. Of
/// these refusals one entry is recorded in a while, with their number.
Result<> TurnAway(Front& front, const net::HttpRequest& request, std::string_view connection) {
  const auto answer = front.refusals.Ask(request.address, NowOf(front));
  if (answer.wait_seconds == 0) return {};
  static auto& turned = obs::Metrics().counters(
      "sallyport_credentials_unread_total",
      "Credentials not read because too many from the same address had been refused.");
  turned.With({}).Add();
  if (answer.turned_away != 0) {
    op::Evidence e;
    e.type = op::EventType::auth_failure;
    e.connection = connection;
    e.address = request.address;
    e.reason = Errc::rate_limited;
    e.ok = false;
    e.count = answer.turned_away;
    SALLYPORT_CHECK(front.options.gate.Record(std::move(e)));
  }
  return Fail(Errc::rate_limited);
}

std::string Scopes(const Front& front) {
  std::string out;
  for (const std::string& scope : front.options.scopes) out += (out.empty() ? "" : " ") + scope;
  return out;
}

}  // namespace

void AskForMore(const Front& front, std::string_view connection, WireAnswer& answer) {
  answer.status = 403;
  answer.headers.Add("WWW-Authenticate", R"(Bearer error="insufficient_scope", scope=")" +
                                             Scopes(front) + R"(", resource_metadata=")" +
                                             front.MetadataUrl(connection) + '"');
}

Task<identity::VerifiedPtr> Authenticate(Front& front, const net::HttpRequest& request,
                                         std::string_view connection) {
  const size_t count = request.headers.Count("Authorization");
  // A page elsewhere, listed or not, does not act with what its browser has: only with a token.
  const bool page = request.headers.Count("Origin") > 0;
  if (count == 0 && !page && request.certificate != nullptr) {
    auto agent = front.options.verifier.ByCertificate(*request.certificate);
    if (agent || agent.error().code != Errc::token_missing) co_return agent;
  }
  if (count == 0) {
    SALLYPORT_CO_CHECK(TurnAway(front, request, connection));
    co_return Fail(Errc::token_missing);
  }
  if (count > 1) co_return Fail(Errc::request_malformed, "the Authorization field occurs twice");
  identity::Shown shown{.authorization = *request.headers.Find("Authorization"),
                        .proofs = request.headers.Count("DPoP"),
                        .proof = request.headers.Find("DPoP").value_or(""),
                        .method = request.method,
                        .url = {},
                        .certificate = request.certificate.get()};
  const std::string resource = front.ResourceUrl(connection);
  if (auto known = front.options.verifier.Known(shown, resource)) co_return known;
  shown.url = front.options.public_url + std::string(request.path());
  co_return co_await front.options.verifier.Admit(
      std::move(shown), std::chrono::steady_clock::now() + kVerifyLimit, resource,
      [&] { return TurnAway(front, request, connection); });
}

namespace {

/// RFC 9449 section 7.1; empty where nothing says that the caller knows of it.
std::string ProofChallenge(const Front& front, const net::HttpRequest& request,
                           const Error& error) {
  const auto field = request.headers.Find("Authorization");
  const auto shown = identity::ReadAuthorization(field.value_or(""));
  const bool dpop = (shown && shown->dpop) || request.headers.Count("DPoP") > 0;
  if (!dpop && !front.options.advertise_dpop && error.code != Errc::token_proof_invalid) return {};
  std::string out = "DPoP algs=\"" + std::string(identity::kProofAlgorithms) + '"';
  if (dpop) {
    out += error.code == Errc::token_proof_invalid ? ", error=\"invalid_dpop_proof\""
                                                   : ", error=\"invalid_token\"";
    out += ", error_description=\"" + std::string(ReasonCode(error.code)) + '"';
  }
  return out;
}

}  // namespace

boost::asio::awaitable<void> Challenge(Front& front, net::HttpExchange& exchange,
                                       std::string_view connection, const Error& error) {
  const std::string& address = exchange.request().address;
  Result<> recorded;
  if (error.code != Errc::rate_limited) {  // recorded already
    recorded =
        RecordRefused(front, op::EventType::auth_failure, connection, address, nullptr, {}, error);
  }
  WireAnswer answer = ToWire(recorded ? error : recorded.error(), {});
  if (answer.status < 429)
    front.refusals.Add(address, NowOf(front));  // 503 is not the caller's fault
  if (answer.status == 401) {
    std::string value = "Bearer resource_metadata=\"" + front.MetadataUrl(connection) + '"';
    // RFC 6750 section 3.1: without a credential there is no error to tell.
    if (error.code != Errc::token_missing) {
      value += R"(, error="invalid_token", error_description=")" +
               std::string(ReasonCode(error.code)) + '"';
    }
    if (!front.options.scopes.empty()) value += ", scope=\"" + Scopes(front) + '"';
    answer.headers.Add("WWW-Authenticate", std::move(value));
    if (std::string proof = ProofChallenge(front, exchange.request(), error); !proof.empty())
      answer.headers.Add("WWW-Authenticate", std::move(proof));
  }
  if (answer.status == 429) answer.headers.Add("Retry-After", "1");
  if (answer.status == 503) answer.headers.Add("Retry-After", "5");
  co_await Send(exchange, std::move(answer));
}

std::string ResourceMetadata(const Front& front, std::string_view connection) {
  std::string out = R"({"resource":)";
  json::AppendString(out,
                     connection.empty() ? front.options.public_url : front.ResourceUrl(connection));
  const auto list = [&](std::string_view name, const std::vector<std::string>& values) {
    out.append(",\"").append(name).append("\":[");
    for (const std::string& value : values) {
      if (out.back() != '[') out += ',';
      json::AppendString(out, value);
    }
    out += ']';
  };
  list("authorization_servers", front.options.issuers);
  list("bearer_methods_supported", {"header"});
  if (front.options.advertise_dpop)
    list("dpop_signing_alg_values_supported",
         {"ES256", "ES384", "EdDSA", "Ed25519", "RS256", "PS256"});
  if (!front.options.scopes.empty()) list("scopes_supported", front.options.scopes);
  if (!connection.empty()) out += R"(,"resource_name":)" + json::Quote(connection);
  return out += '}';
}

}  // namespace sallyport::mcp
