#include "identity/discovery.h"

#include <utility>

#include "identity/jwk.h"
#include "identity/url.h"
#include "json/document.h"

namespace sallyport::identity {

FetchRequest RequestTo(const ProviderConfig& provider, std::string url, std::stop_token stop) {
  FetchRequest request;
  request.url = std::move(url);
  request.headers = {{"Accept", "application/json"}};
  request.ca_file = provider.ca_file;
  request.allow_addresses = provider.allow_addresses;
  request.allow_loopback_http = provider.allow_loopback_http;
  request.max_body = kMaxJwksBytes;
  request.stop = std::move(stop);
  return request;
}

Result<FetchResponse> GetFrom(const ProviderConfig& provider, const Fetch& fetch,
                              const std::string& url, std::stop_token stop) {
  SALLYPORT_TRY(FetchResponse response, fetch(RequestTo(provider, url, std::move(stop))));
  if (response.status != 200) {
    return Fail(Errc::upstream_protocol,
                "the issuer answered with status " + std::to_string(response.status));
  }
  return response;
}

Result<std::string> DiscoverEndpoint(const ProviderConfig& provider, const Fetch& fetch,
                                     std::string_view member, std::stop_token stop) {
  SALLYPORT_TRY(FetchResponse response,
                GetFrom(provider, fetch,
                        provider.shared_signals ? SignalsUrl(provider.issuer)
                                                : DiscoveryUrl(provider.issuer),
                        std::move(stop)));
  const std::string name(member);
  auto document =
      json::Document::Parse(response.body, {.max_bytes = kMaxJwksBytes, .max_depth = 16});
  if (!document) return Fail(Errc::upstream_protocol, "the discovery document is not strict JSON");
  if (document->root()["issuer"].string() != provider.issuer) {
    return Fail(Errc::upstream_protocol,
                "the discovery document is of another issuer than the configured one");
  }
  auto uri = document->root()[member].string();
  if (!uri) return Fail(Errc::upstream_protocol, "the discovery document has no " + name);
  auto parsed = ParseIssuerUrl(*uri);
  auto ours = ParseIssuerUrl(provider.issuer);
  if (!parsed || !ours) return Fail(Errc::upstream_protocol, name + " is not a plain https URL");
  if (parsed->origin != ours->origin) {
    return Fail(Errc::upstream_protocol, "the discovered " + name +
                                             " is on another origin: pin it by " + name +
                                             " in the configuration");
  }
  return std::string(*uri);
}

}  // namespace sallyport::identity
