#include "credential/aws_caller.h"

#include <array>
#include <openssl/evp.h>

#include "base/bytes.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

constexpr size_t kLongest = 64, kLongestTag = 256;
constexpr size_t kDigestInSession = 24, kDigestInSource = 32;  // hexadecimal digits
constexpr std::chrono::seconds kTokenLife{300};

bool Plain(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '@' || c == '-';
}

/// One spelling for each text, of letters, digits and . _ @ - = only.
std::string Spelled(std::string_view text) {
  constexpr std::string_view kDigits = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    if (Plain(c)) {
      out += c;
    } else {
      out += {'=', kDigits[uint8_t(c) >> 4], kDigits[uint8_t(c) & 15]};
    }
  }
  return out;
}

std::string Digest(std::string_view text, size_t digits) {
  std::array<uint8_t, 32> hash{};
  EVP_Q_digest(nullptr, "SHA256", nullptr, text.data(), text.size(), hash.data(), nullptr);
  return HexEncode(hash).substr(0, digits);
}

/// The account in at most `longest` characters. '+' is in no spelling, so what was cut is like
/// nothing that was not.
std::string Account(const op::Principal& who, char between, size_t longest) {
  std::string out = Spelled(who.provider) + between + Spelled(who.subject);
  if (out.size() <= longest) return out;
  const std::string digest = Digest(who.provider + '\n' + who.subject, kDigestInSource);
  return out.substr(0, longest - 1 - digest.size()) + '+' + digest;
}

std::string Readable(const op::Principal& who) {
  std::string name = !who.agent.empty() ? who.agent : !who.name.empty() ? who.name : who.subject;
  name.resize(std::min(name.size(), kLongest - 1 - kDigestInSession));
  for (char& c : name) c = Plain(c) ? c : '_';
  return name;
}

}  // namespace

AwsName NameAtAws(const op::Principal& who) {
  AwsName name;
  // No part holds a line break.
  name.session = Readable(who) + ',' +
                 Digest(who.provider + '\n' + who.issuer + '\n' + who.subject + '\n' + who.agent,
                        kDigestInSession);
  name.source = Account(who, ',', kLongest);
  name.person = Account(who, ':', kLongestTag);
  return name;
}

std::string ClaimsForAws(const op::Principal& who, const AwsName& name) {
  std::string tags, keys;
  const auto tag = [&](std::string_view key, const std::string& value) {
    if (value.empty()) return;
    const std::string quoted = json::Quote("sallyport:" + std::string(key));
    tags += (tags.empty() ? "" : ",") + quoted + ":[" + json::Quote(value) + "]";
    keys += (keys.empty() ? "" : ",") + quoted;
  };
  tag("person", name.person);
  tag("agent", Spelled(who.agent));
  tag("session", Spelled(who.session));
  return R"(,"https://aws.amazon.com/tags":{"principal_tags":{)" + tags +
         R"(},"transitive_tag_keys":[)" + keys + R"(]},"https://aws.amazon.com/source_identity":)" +
         json::Quote(name.source);
}

Result<Material> ObtainAwsKeyFor(const op::Principal& who, const AwsKeys& keys,
                                 const std::string& region, const GateIssuer& issuer,
                                 const Fetch& fetch, const Clock& clock, std::stop_token stop) {
  const AwsName name = NameAtAws(who);
  const GateJwt token{.audience = keys.audience, .ttl = kTokenLife};
  const std::string claims =
      ClaimsOf(who, issuer.url, token, clock.WallNow(), {.more = ClaimsForAws(who, name)});
  SALLYPORT_TRY(std::string proof, SignAs(issuer, claims));
  return AssumeRole(keys, region, {Secret(std::move(proof)), name.session}, fetch, clock,
                    std::move(stop));
}

}  // namespace sallyport::credential
