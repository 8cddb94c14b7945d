#include "api/oauth_documents.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace sallyport::api {
namespace {

using oauth::Client;
using oauth::RedirectUri;

constexpr size_t kMostKnown = 1'000, kMostFetching = 16;
constexpr size_t kThreads = 2;
constexpr std::chrono::seconds kFailedFor{30};
constexpr std::chrono::seconds kLeast{60}, kUsual{3600}, kMost{86'400};

Nanos Nanoseconds(std::chrono::seconds s) {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(s).count();
}

}  // namespace

std::chrono::seconds KeptFor(const FetchResponse& response) {
  const std::string_view field = response.Header("cache-control");
  if (field.find("no-store") != field.npos || field.find("no-cache") != field.npos) return kLeast;
  const size_t at = field.find("max-age=");
  if (at == field.npos) return kUsual;
  int64_t seconds = 0;
  const auto [end, e] =
      std::from_chars(field.data() + at + 8, field.data() + field.size(), seconds);
  if (e == std::errc::result_out_of_range) return kMost;
  if (e != std::errc()) return kLeast;
  return std::clamp(std::chrono::seconds(seconds), kLeast, kMost);
}

Result<Client> ReadDocument(const std::string& client_id, const FetchResponse& response) {
  if (response.status != 200)
    return Fail(Errc::upstream_protocol,
                "the client's document is not there (a redirect is not followed)");
  const std::string_view type = response.Header("content-type");
  const std::string_view mime = type.substr(0, type.find(';'));
  if (!mime.ends_with("/json") && !mime.ends_with("+json"))
    return Fail(Errc::upstream_protocol, "the client's document is not of a JSON type");
  auto metadata = oauth::ReadClientMetadata(response.body, Client::Kind::document);
  if (!metadata) {
    return Fail(Errc::upstream_protocol,
                "the client's document cannot be used: " + metadata.error().detail);
  }
  if (metadata->client_id != client_id)
    return Fail(Errc::upstream_protocol, "the client's document is about another client_id");
  SALLYPORT_TRY(const RedirectUri url, RedirectUri::Parse(client_id));
  return Client{.kind = Client::Kind::document,
                .id = client_id,
                .label = client_id,
                .name = std::move(metadata->name),
                .host = url.host + (url.port.empty() ? "" : ":" + url.port),
                .redirects = std::move(metadata->redirects)};
}

OauthDocuments::OauthDocuments(const oauth::Config& config, const Clock& clock)
    : config_(config), clock_(clock), workers_(kThreads) {}
OauthDocuments::~OauthDocuments() { Stop(); }

void OauthDocuments::Stop() { workers_.Stop(); }

bool OauthDocuments::IsUrl(std::string_view client_id) {
  return client_id.starts_with("https://") || client_id.starts_with("http://");
}

bool OauthDocuments::Trusts(std::string_view host) const {
  return std::ranges::any_of(config_.client_id_hosts, [&](std::string_view pattern) {
    if (!pattern.starts_with("*.")) return host == pattern;
    pattern.remove_prefix(1);
    return host.size() > pattern.size() && host.ends_with(pattern);
  });
}

Result<> OauthDocuments::Check(std::string_view client_id) const {
  SALLYPORT_TRY(const RedirectUri url, RedirectUri::Parse(client_id));
  const std::string_view path = std::string_view(url.rest).substr(0, url.rest.find('?'));
  const bool local = url.kind == RedirectUri::Kind::loopback && config_.allow_loopback_http;
  if ((url.kind != RedirectUri::Kind::web && !local) || path.size() < 2)
    return Fail(Errc::request_malformed, "client_id has to be an https URL with a path");
  if (local || Trusts(url.host)) return {};
  return Fail(Errc::not_found,
              "clients of this host are not known here; an administrator can add it "
              "(identity.oauth_server.client_id_hosts)");
}

Result<Client> OauthDocuments::Find(std::string_view client_id) const {
  SALLYPORT_CHECK(Check(client_id));
  const std::lock_guard lock(mutex_);
  const auto found = known_.find(client_id);
  if (found == known_.end() || found->second.until <= clock_.WallNow())
    return Fail(Errc::not_found, "the client's document has not been read");
  return found->second.client;
}

void OauthDocuments::Keep(const std::string& client_id, Result<Client> client, Nanos lasts) {
  const Nanos now = clock_.WallNow();
  const std::lock_guard lock(mutex_);
  std::erase_if(known_, [&](const auto& entry) { return entry.second.until <= now; });
  while (known_.size() >= kMostKnown) {
    known_.erase(
        std::ranges::min_element(known_, {}, [](const auto& entry) { return entry.second.until; }));
  }
  known_.insert_or_assign(client_id, Known{.client = std::move(client), .until = now + lasts});
}

Task<> OauthDocuments::Prepare(std::string client_id) {
  SALLYPORT_CO_CHECK(Check(client_id));
  {
    const std::lock_guard lock(mutex_);
    const auto found = known_.find(client_id);
    if (found != known_.end() && found->second.until > clock_.WallNow()) co_return Result<>{};
    if (fetching_ >= kMostFetching)
      co_return Fail(Errc::rate_limited, "too many documents of clients are being read");
    ++fetching_;
  }
  FetchRequest request{.url = client_id, .headers = {{"Accept", "application/json"}}};
  request.ca_file = config_.ca_file;
  request.allow_addresses = config_.allow_addresses;
  request.allow_loopback_http = config_.allow_loopback_http;
  request.max_body = oauth::kMaxMetadataBytes;
  const auto response = co_await workers_.Fetch(std::move(request));
  {
    const std::lock_guard lock(mutex_);
    --fetching_;
  }
  if (!response) {
    const Error& why = response.error();
    Keep(client_id,
         Fail(why.code, "the client's document cannot be had" +
                            (why.detail.empty() ? std::string() : ": " + why.detail)),
         Nanoseconds(kFailedFor));
    co_return Result<>{};
  }
  auto client = ReadDocument(client_id, *response);
  const auto lasts = client ? KeptFor(*response) : kFailedFor;
  Keep(client_id, std::move(client), Nanoseconds(lasts));
  co_return Result<>{};
}

}  // namespace sallyport::api
