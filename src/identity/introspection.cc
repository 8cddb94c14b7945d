#include "identity/introspection.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <utility>

#include "base/bytes.h"
#include "identity/discovery.h"
#include "json/document.h"

namespace sallyport::identity {
namespace {

constexpr size_t kMostAnswer = 64 * 1024;
constexpr std::string_view kPlain =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~";

/// application/x-www-form-urlencoded; also for the parts of the credential (RFC 6749 section
/// 2.3.1).
std::string Encoded(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (kPlain.contains(c)) {
      out += c;
    } else {
      out += '%';
      out += kHex[uint8_t(c) >> 4];
      out += kHex[uint8_t(c) & 15];
    }
  }
  return out;
}

class Introspection {
 public:
  Introspection(ProviderConfig provider, Fetch fetch, ResolveSecret resolve)
      : provider_(std::move(provider)), fetch_(std::move(fetch)), resolve_(std::move(resolve)) {}

  Result<std::string> Ask(const std::string& token, const std::stop_token& stop) {
    auto response = Send(token, stop);
    if (!response) return Down(response.error().detail);
    if (response->status != 200)
      return Down("introspection was answered with status " + std::to_string(response->status));
    const auto document =
        json::Document::Parse(response->body, {.max_bytes = kMostAnswer, .max_depth = 16});
    const auto active =
        document ? document->root()["active"].boolean() : std::optional<bool>(std::nullopt);
    if (!active) return Down("the answer to the introspection is not what RFC 7662 says");
    if (!*active) return Fail(Errc::token_inactive, "the provider says that it is not active");
    return std::move(response->body);
  }

 private:
  std::unexpected<Error> Down(const std::string& why) const {
    return Fail(Errc::identity_provider_down,
                "identity provider \"" + provider_.name + "\" cannot be asked: " + why);
  }

  Result<FetchResponse> Send(const std::string& token, const std::stop_token& stop) {
    const IntrospectionConfig& config = provider_.introspection;
    SALLYPORT_TRY(const Secret secret, resolve_(config.client_secret));
    SALLYPORT_TRY(const std::string endpoint, Endpoint(stop));
    FetchRequest request = RequestTo(provider_, endpoint, stop);
    const std::string both = Encoded(config.client_id) + ":" + Encoded(secret.Reveal());
    request.method = "POST";
    request.headers.emplace_back("Authorization", "Basic " + Base64Encode(AsBytes(both)));
    request.headers.emplace_back("Content-Type", "application/x-www-form-urlencoded");
    request.body = "token=" + Encoded(token) + "&token_type_hint=access_token";
    request.max_body = kMostAnswer;
    request.timeout = std::chrono::milliseconds(4000);
    auto response = fetch_(request);
    if (!response || response->status == 404) Moved();
    return response;
  }

  Result<std::string> Endpoint(const std::stop_token& stop) {
    if (!provider_.introspection.endpoint.empty()) return provider_.introspection.endpoint;
    const std::lock_guard lock(mutex_);  // one look-up, however many ask
    if (endpoint_.empty()) {
      SALLYPORT_TRY(endpoint_, DiscoverEndpoint(provider_, fetch_, "introspection_endpoint", stop));
    }
    return endpoint_;
  }
  void Moved() {
    const std::lock_guard lock(mutex_);
    endpoint_.clear();
  }

  const ProviderConfig provider_;
  const Fetch fetch_;
  const ResolveSecret resolve_;
  std::mutex mutex_;
  std::string endpoint_;
};

}  // namespace

Inquiry::Ask MakeIntrospection(const ProviderConfig& provider, Fetch fetch, ResolveSecret resolve) {
  auto made = std::make_shared<Introspection>(provider, std::move(fetch), std::move(resolve));
  return [made](const std::string& token, const std::stop_token& stop) {
    return made->Ask(token, stop);
  };
}

bool IsOpaque(std::string_view token) {
  while (token.ends_with('=')) token.remove_suffix(1);
  const auto fits = [](char c) { return kPlain.contains(c) || c == '+' || c == '/'; };
  // "eyJ" is how the header of every JWS and JWE begins: what is broken of them is not passed on.
  return token.size() >= 8 && token.size() <= 4096 && !token.starts_with("eyJ") &&
         std::ranges::count(token, '.') != 2 && std::ranges::all_of(token, fits);
}

}  // namespace sallyport::identity
