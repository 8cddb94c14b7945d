#pragma once

#include <atomic>
#include <chrono>
#include <fstream>
#include <iterator>
#include <map>
#include <mutex>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "identity/signer.h"
#include "identity/verifier.h"

namespace sallyport::identity::test {

inline constexpr int64_t kIat = 1'795'200'000;  // of every token of testdata/jose
inline constexpr Nanos kSecond = 1'000'000'000;

/// Wall and steady time that move together, by hand.
class FakeClock : public Clock {
 public:
  explicit FakeClock(int64_t seconds = kIat) : wall_(seconds * kSecond) {}
  Nanos WallNow() const override { return wall_; }
  std::chrono::steady_clock::time_point SteadyNow() const override {
    return std::chrono::steady_clock::time_point(std::chrono::nanoseconds(wall_ - kIat * kSecond)) +
           std::chrono::hours(1000);
  }
  void Advance(std::chrono::seconds by) { wall_ += by.count() * kSecond; }
  void SetWall(int64_t seconds) { wall_ = seconds * kSecond; }

 private:
  std::atomic<Nanos> wall_;
};

/// An issuer without a network: what it serves can be changed at any time. Thread-safe.
class FakeIdp {
 public:
  explicit FakeIdp(std::string issuer) : issuer_(std::move(issuer)) {
    Serve("/.well-known/openid-configuration",
          R"({"issuer":")" + issuer_ + R"(","jwks_uri":")" + issuer_ + R"(/jwks"})");
  }

  void Serve(const std::string& path, std::string body, int status = 200) {
    std::lock_guard lock(mu_);
    pages_[issuer_ + path] = {
        .status = status, .headers = {{"cache-control", cache_control}}, .body = std::move(body)};
  }
  void ServeKeys(std::initializer_list<std::string> jwks) { Serve("/jwks", Jwks(jwks)); }

  Fetch fetch() {
    return [this](const FetchRequest& request) -> Result<FetchResponse> {
      if (on_fetch) on_fetch(request);
      std::lock_guard lock(mu_);
      urls.push_back(request.url);
      if (request.url.ends_with("/jwks")) ++key_fetches;
      if (down) return Fail(Errc::upstream_unreachable, "connection refused");
      auto it = pages_.find(request.url);
      if (it == pages_.end()) return FetchResponse{.status = 404, .headers = {}, .body = ""};
      if (it->second.body.size() > request.max_body) {
        return Fail(Errc::upstream_too_large, "the body is larger than allowed");
      }
      return it->second;
    };
  }

  std::atomic<bool> down{false};
  std::atomic<int> key_fetches{0};
  std::string cache_control;
  std::vector<std::string> urls;
  std::function<void(const FetchRequest&)> on_fetch;  // set before the first fetch

 private:
  const std::string issuer_;
  std::mutex mu_;
  std::map<std::string, FetchResponse> pages_;
};

inline ProviderConfig Corp() {
  ProviderConfig p;
  p.name = "corp";
  p.issuer = "https://idp";
  p.audiences = {"sallyport"};
  return p;
}

/// The claims of a plain access token of Corp().
inline nlohmann::json Claims() {
  return {{"iss", "https://idp"},  {"aud", "sallyport"}, {"sub", "alice"},
          {"iat", kIat},           {"exp", kIat + 3600}, {"email", "alice@example.com"},
          {"groups", {"support"}}, {"client_id", "desk"}};
}

inline std::string ReadData(const std::string& name) {
  std::ifstream in(std::string(SALLYPORT_TESTDATA) + "/" + name);
  return {std::istreambuf_iterator<char>(in), {}};
}

}  // namespace sallyport::identity::test
