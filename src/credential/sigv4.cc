#include "credential/sigv4.h"

#include <algorithm>
#include <array>
#include <ctime>
#include <map>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "credential/encode.h"

namespace sallyport::credential {
namespace {

constexpr std::string_view kAlgorithm = "AWS4-HMAC-SHA256";

using Digest = std::array<uint8_t, 32>;
using Field = std::pair<std::string, std::string>;

std::string Hex(const Digest& digest) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string out;
  out.reserve(digest.size() * 2);
  for (const uint8_t byte : digest) {
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

Digest Sha256(std::string_view text) {
  Digest out{};
  EVP_Digest(text.data(), text.size(), out.data(), nullptr, EVP_sha256(), nullptr);
  return out;
}

bool Hmac(std::string_view key, std::string_view text, Digest& out) {
  return HMAC(EVP_sha256(), key.data(), int(key.size()),
              reinterpret_cast<const uint8_t*>(text.data()), text.size(), out.data(),
              nullptr) != nullptr;
}

std::string_view Bytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

/// RFC 3986 section 5.2.4, and empty segments go too.
std::string Normalise(std::string_view path) {
  std::vector<std::string_view> kept;
  for (size_t at = 0; at <= path.size();) {
    const size_t end = std::min(path.find('/', at), path.size());
    const std::string_view segment = path.substr(at, end - at);
    at = end + 1;
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      kept.push_back(segment);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string out;
  for (const std::string_view segment : kept) out.append("/").append(segment);
  if (kept.empty() || path.ends_with('/')) out += '/';
  return out;
}

/// As it stands; only what cannot stand on the wire is encoded.
std::string QueryPart(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const bool plain = text[i] > ' ' && text[i] < 0x7f;
    out += plain ? std::string(1, text[i]) : PercentEncode(text.substr(i, 1));
  }
  return out;
}

std::string CanonicalQuery(std::string_view query) {
  std::vector<Field> pairs;
  for (size_t at = 0; at < query.size();) {
    const size_t end = std::min(query.find('&', at), query.size());
    const std::string_view pair = query.substr(at, end - at);
    at = end + 1;
    const size_t equals = std::min(pair.find('='), pair.size());
    pairs.emplace_back(QueryPart(pair.substr(0, equals)),
                       QueryPart(pair.substr(std::min(equals + 1, pair.size()))));
  }
  std::ranges::sort(pairs);
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (&name != &pairs.front().first) out += '&';
    out.append(name).append("=").append(value);
  }
  return out;
}

/// Without white space at the ends, and with one blank for each run of it inside.
std::string Trimmed(std::string_view value) {
  std::string out;
  bool gap = false;
  for (const char c : value) {
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
      gap = !out.empty();
      continue;
    }
    if (gap) out += ' ';
    gap = false;
    out += c;
  }
  return out;
}

std::string Lower(std::string_view name) {
  std::string out(name);
  for (char& c : out) c = c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  return out;
}

/// The fields to be signed, by name; values of one name are joined in the order of arrival.
using Fields = std::map<std::string, std::string>;

void AddField(Fields& fields, std::string name, std::string value) {
  const auto [at, fresh] = fields.try_emplace(std::move(name), value);
  if (!fresh) at->second += ',' + value;
}

Fields SignedFields(const AwsRequest& request, const AwsKey& key, std::string_view date) {
  Fields fields;
  for (const auto& [name, value] : request.headers) AddField(fields, Lower(name), Trimmed(value));
  AddField(fields, "host", Lower(request.host));
  AddField(fields, "x-amz-date", std::string(date));
  if (!key.session_token.empty())
    AddField(fields, "x-amz-security-token", Trimmed(key.session_token.Reveal()));
  return fields;
}

std::string SignedNames(const Fields& fields) {
  std::string names;
  for (const auto& [name, value] : fields) {
    if (!names.empty()) names += ';';
    names += name;
  }
  return names;
}

std::string Canonical(const AwsRequest& request, const Fields& fields) {
  const size_t mark = std::min(request.target.find('?'), request.target.size());
  std::string out(request.method);
  out += '\n' + PercentEncode(Normalise(request.target.substr(0, mark)), true);
  out += '\n' + CanonicalQuery(request.target.substr(std::min(mark + 1, request.target.size())));
  out += '\n';
  for (const auto& [name, value] : fields) out.append(name).append(":").append(value) += '\n';
  out += '\n' + SignedNames(fields) + '\n' + Hex(Sha256(request.body));
  return out;
}

std::string DateOf(Nanos now) {
  const std::time_t seconds = now / 1'000'000'000;
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 20> text{};
  return {text.data(), std::strftime(text.data(), text.size(), "%Y%m%dT%H%M%SZ", &utc)};
}

std::string ScopeText(const AwsScope& scope, std::string_view date) {
  return std::string(date.substr(0, 8)) + '/' + scope.region + '/' + scope.service +
         "/aws4_request";
}

/// Steps 2 and 3 of the process: the string to sign, the derived key, the signature in hex.
Result<std::string> Signature(std::string_view canonical, const AwsKey& key, const AwsScope& scope,
                              std::string_view date) {
  const std::string to_sign = std::string(kAlgorithm) + '\n' + std::string(date) + '\n' +
                              ScopeText(scope, date) + '\n' + Hex(Sha256(canonical));
  const Secret start("AWS4" + std::string(key.secret.Reveal()));
  Digest derived{}, next{};
  bool good = Hmac(start.Reveal(), date.substr(0, 8), derived);
  for (const std::string_view step :
       {std::string_view(scope.region), std::string_view(scope.service),
        std::string_view("aws4_request"), std::string_view(to_sign)}) {
    good = good && Hmac(Bytes(derived), step, next);
    derived = next;
  }
  std::string hex = Hex(derived);
  explicit_bzero(derived.data(), derived.size());
  explicit_bzero(next.data(), next.size());
  if (!good) return Fail(Errc::internal, "HMAC-SHA256 is not to be had");
  return hex;
}

}  // namespace

std::string CanonicalAws(const AwsRequest& request, const AwsKey& key, std::string_view date) {
  return Canonical(request, SignedFields(request, key, date));
}

Result<AwsSignature> SignAws(const AwsRequest& request, const AwsKey& key, const AwsScope& scope,
                             Nanos now) {
  AwsSignature out;
  out.date = DateOf(now);
  const Fields fields = SignedFields(request, key, out.date);
  SALLYPORT_TRY(const std::string hex, Signature(Canonical(request, fields), key, scope, out.date));
  out.authorization = std::string(kAlgorithm) + " Credential=" + key.id + '/' +
                      ScopeText(scope, out.date) + ", SignedHeaders=" + SignedNames(fields) +
                      ", Signature=" + hex;
  return out;
}

Result<Secret> RdsToken(std::string_view host, uint16_t port, std::string_view user,
                        const AwsKey& key, std::string_view region, Nanos now) {
  const AwsScope scope{std::string(region), "rds-db"};
  const std::string date = DateOf(now);
  std::string target = "/?Action=connect&DBUser=" + PercentEncode(user);
  target.append("&X-Amz-Algorithm=").append(kAlgorithm);
  target += "&X-Amz-Credential=" + PercentEncode(key.id + '/' + ScopeText(scope, date));
  target += "&X-Amz-Date=" + date + "&X-Amz-Expires=" + std::to_string(kRdsTokenFor.count()) +
            "&X-Amz-SignedHeaders=host";
  if (!key.session_token.empty())
    target += "&X-Amz-Security-Token=" + PercentEncode(key.session_token.Reveal());
  const std::string place = std::string(host) + ':' + std::to_string(port);
  const AwsRequest request{.method = "GET", .host = place, .target = target};
  const std::string canonical = Canonical(request, {{"host", Lower(place)}});
  SALLYPORT_TRY(const std::string hex, Signature(canonical, key, scope, date));
  return Secret(place + target + "&X-Amz-Signature=" + hex);
}

}  // namespace sallyport::credential
