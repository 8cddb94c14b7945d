#include "identity/token_review.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "identity/discovery.h"
#include "json/document.h"

namespace sallyport::identity {
namespace {

constexpr size_t kMostAnswer = 128 * 1024;  // it repeats the token

std::string ReviewOf(const std::string& token, const std::vector<std::string>& audiences) {
  std::string out = R"({"apiVersion":"authentication.k8s.io/v1","kind":"TokenReview",)"
                    R"("spec":{"token":)";
  json::AppendString(out, token);
  out += R"(,"audiences":[)";
  for (const std::string& audience : audiences) {
    if (out.back() != '[') out += ',';
    json::AppendString(out, audience);
  }
  return out += "]}}";
}

Result<std::string> Judge(json::Value status, const ProviderConfig& provider) {
  if (status["authenticated"].boolean() != true)
    return Fail(Errc::token_inactive, "the cluster says that the token is not good any more");
  // Without audiences the API server has judged the token for itself, not for us.
  bool ours = false;
  for (auto v = status["audiences"].first(); v; v = v.next()) {
    ours = ours || (v.string() &&
                    std::ranges::find(provider.audiences, *v.string()) != provider.audiences.end());
  }
  if (!ours) return Fail(Errc::token_inactive, "the cluster says that the token is not for us");
  const auto name = status["user"]["username"].string();
  if (!name) return Fail(Errc::token_inactive, "the cluster does not say whose token it is");
  return std::string(*name);
}

}  // namespace

Inquiry::Ask MakeTokenReview(const ProviderConfig& provider, Fetch fetch, ResolveSecret resolve) {
  return [provider, fetch = std::move(fetch), resolve = std::move(resolve)](
             const std::string& token, const std::stop_token& stop) -> Result<std::string> {
    const auto down = [&](const std::string& why) {
      return Fail(Errc::identity_provider_down,
                  "the cluster of \"" + provider.name + "\" cannot be asked: " + why);
    };
    const TokenReviewConfig& config = provider.token_review;
    const auto own = resolve(config.token);
    if (!own) return down(own.error().detail);
    std::string url = config.url;
    while (url.ends_with('/')) url.pop_back();
    FetchRequest request =
        RequestTo(provider, url + "/apis/authentication.k8s.io/v1/tokenreviews", stop);
    request.ca_file = config.ca_file;
    request.method = "POST";
    request.headers.emplace_back("Authorization", "Bearer " + std::string(own->Reveal()));
    request.headers.emplace_back("Content-Type", "application/json");
    request.body = ReviewOf(token, provider.audiences);
    request.max_body = kMostAnswer;
    request.timeout = std::chrono::milliseconds(4000);
    const auto response = fetch(request);
    if (!response) return down(response.error().detail);
    if (response->status != 201 && response->status != 200)
      return down("it answered with status " + std::to_string(response->status));
    const auto document =
        json::Document::Parse(response->body, {.max_bytes = kMostAnswer, .max_depth = 32});
    if (!document || !document->root()["status"].is(json::Kind::object))
      return down("its answer is no TokenReview");
    return Judge(document->root()["status"], provider);
  };
}

}  // namespace sallyport::identity
