#include "net/cross_origin.h"

#include <algorithm>
#include <array>

namespace sallyport::net {
namespace {

/// Fields that a client may set. Those that mirror parameters (Mcp-Param-…) have names of their
/// own.
constexpr std::array<std::string_view, 11> kMaySend{
    "accept",         "authorization", "content-type", "dpop",
    "last-event-id",  "mcp-method",    "mcp-name",     "mcp-protocol-version",
    "mcp-session-id", "traceparent",   "tracestate"};
constexpr std::string_view kMirrored = "mcp-param-";
constexpr std::string_view kMayRead =
    "Mcp-Session-Id, MCP-Protocol-Version, WWW-Authenticate, Retry-After";
constexpr size_t kMostAsked = 64;

bool IsToken(std::string_view name) {
  return !name.empty() && name.size() <= 128 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_' || c == '.';
  });
}

bool MaySend(std::string_view name) {
  return std::ranges::find(kMaySend, name) != kMaySend.end() ||
         (name.starts_with(kMirrored) && IsToken(name));
}

/// Of a list of names those that may be sent: names that browsers have lower-cased and sorted.
std::string Allowed(std::string_view asked) {
  std::string out;
  for (size_t n = 0; !asked.empty() && n < kMostAsked; ++n) {
    std::string_view name = asked.substr(0, asked.find(','));
    asked.remove_prefix(std::min(asked.size(), name.size() + 1));
    while (name.starts_with(' ')) name.remove_prefix(1);
    while (name.ends_with(' ')) name.remove_suffix(1);
    if (MaySend(name)) out.append(out.empty() ? "" : ", ").append(name);
  }
  return out;
}

}  // namespace

bool IsPreflight(const HttpRequest& request) {
  return request.method == "OPTIONS" && request.headers.Find("Origin") &&
         request.headers.Find("Access-Control-Request-Method");
}

void SharedWith(const std::string* origin, HttpExchange& exchange) {
  exchange.AddToResponse("Vary", "Origin");
  if (origin == nullptr) return;
  exchange.AddToResponse("Access-Control-Allow-Origin", *origin);
  exchange.AddToResponse("Access-Control-Expose-Headers", std::string(kMayRead));
}

boost::asio::awaitable<void> AnswerPreflight(HttpExchange& exchange, std::string_view methods) {
  const Headers& asked = exchange.request().headers;
  Headers headers{{"Access-Control-Allow-Methods", std::string(methods)},
                  {"Access-Control-Max-Age", "600"},
                  {"Cache-Control", "no-store"}};
  std::string names = Allowed(asked.Find("Access-Control-Request-Headers").value_or(""));
  if (!names.empty()) headers.Add("Access-Control-Allow-Headers", std::move(names));
  // A page of the internet that speaks with a gateway inside (Private Network Access).
  if (asked.Find("Access-Control-Request-Private-Network") == "true")
    headers.Add("Access-Control-Allow-Private-Network", "true");
  (void)co_await exchange.Respond(204, std::move(headers), {});
}

}  // namespace sallyport::net
