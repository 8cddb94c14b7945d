#include "mcp/bearer.h"

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
  if (count == 0) {
    SALLYPORT_CO_CHECK(TurnAway(front, request, connection));
    co_return Fail(Errc::token_missing);
  }
  if (count > 1) co_return Fail(Errc::request_malformed, "the Authorization field occurs twice");
  std::string_view value = *request.headers.Find("Authorization");
  const size_t space = value.find(' ');
  if (space == std::string_view::npos || !net::SameName(value.substr(0, space), "Bearer")) {
    co_return Fail(Errc::token_malformed, "the Authorization field is no bearer token");
  }
  value.remove_prefix(space);
  while (value.starts_with(' ')) value.remove_prefix(1);
  const std::string resource = front.ResourceUrl(connection);
  if (auto known = front.options.verifier.Known(value, resource)) co_return known;
  SALLYPORT_CO_CHECK(TurnAway(front, request, connection));
  bool refresh = false;
  auto verified = front.options.verifier.Verify(value, &refresh, resource);
  if (verified || !refresh) co_return verified;
  co_return co_await front.options.verifier.Authenticate(
      std::string(value), std::chrono::steady_clock::now() + kVerifyLimit, resource);
}

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
  if (!front.options.scopes.empty()) list("scopes_supported", front.options.scopes);
  if (!connection.empty()) out += R"(,"resource_name":)" + json::Quote(connection);
  return out += '}';
}

}  // namespace sallyport::mcp
