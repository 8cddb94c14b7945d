#include "credential/store_answers.h"

#include <algorithm>

#include "json/document.h"

namespace sallyport::credential {
namespace {

using std::chrono::seconds;

constexpr size_t kMostMembers = 256, kMostBytes = 64 << 10;
constexpr int64_t kLongest = 10LL * 366 * 86'400;  // what is said beyond is cut to it

std::unexpected<Error> Wrong(const char* what) { return Fail(Errc::upstream_protocol, what); }

bool IsVisible(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c > ' ' && c < 0x7f; });
}

Result<seconds> ReadLife(const json::Value& value) {
  if (!value || value.is(json::Kind::null)) return seconds(0);
  const auto life = value.integer();
  if (!life || *life < 0) return Wrong("a lease of no length");
  return seconds(std::min(*life, kLongest));
}

/// Texts, and numbers as they are written; what else a member holds is not a secret to be used.
Result<> ReadMembers(const json::Value& object, SecretMembers& out) {
  if (!object.is(json::Kind::object)) return Wrong("no object of members");
  if (object.size() > kMostMembers) return Wrong("too many members");
  for (auto member = object.first(); member; member = member.next()) {
    std::string_view text;
    if (const auto read = member.string()) {
      text = *read;
    } else if (member.is(json::Kind::number)) {
      text = member.raw();
    } else {
      continue;
    }
    if (text.size() > kMostBytes || text.contains('\0')) return Wrong("a member that is no secret");
    out.members.emplace(member.key(), Secret(std::string(text)));
  }
  return {};
}

Result<json::Document> Parse(std::string_view text) {
  auto doc =
      json::Document::Parse(text, {.max_bytes = 1 << 20, .max_depth = 32, .max_nodes = 4096});
  if (!doc || !doc->root().is(json::Kind::object))
    return Wrong("something else than a JSON object");
  return doc;
}

}  // namespace

Result<SecretMembers> ReadVaultSecret(std::string_view json) {
  SALLYPORT_TRY(const json::Document doc, Parse(json));
  const json::Value root = doc.root();
  if (!root["lease_id"].string().value_or("").empty())
    return Wrong("a secret with a lease of its own; for PostgreSQL there is vault_database");
  SecretMembers out;
  SALLYPORT_TRY(out.good_for, ReadLife(root["lease_duration"]));
  json::Value data = root["data"];
  // Version 2 wraps the members, with what it knows of this version beside.
  if (data["metadata"].is(json::Kind::object) && data["data"]) {
    if (data["data"].is(json::Kind::null))
      return Fail(Errc::not_found, "the secret has been deleted");
    data = data["data"];
    out.good_for = seconds(0);
  }
  SALLYPORT_CHECK(ReadMembers(data, out));
  return out;
}

Result<VaultToken> ReadVaultToken(std::string_view json) {
  SALLYPORT_TRY(const json::Document doc, Parse(json));
  const json::Value auth = doc.root()["auth"], data = doc.root()["data"];
  VaultToken out;
  if (auth.is(json::Kind::object)) {
    const auto token = auth["client_token"].string();
    if (!token || token->empty() || token->size() > 16'384 || !IsVisible(*token))
      return Wrong("no client_token");
    out.token = Secret(std::string(*token));
    SALLYPORT_TRY(out.life, ReadLife(auth["lease_duration"]));
    out.renewable = auth["renewable"].boolean().value_or(false);
    return out;
  }
  if (!data.is(json::Kind::object)) return Wrong("neither auth nor data");
  SALLYPORT_TRY(out.life, ReadLife(data["ttl"]));
  out.renewable = data["renewable"].boolean().value_or(false);
  return out;
}

Result<VaultLease> ReadVaultLease(std::string_view json, bool with_login) {
  SALLYPORT_TRY(const json::Document doc, Parse(json));
  const json::Value root = doc.root();
  VaultLease out;
  const auto id = root["lease_id"].string();
  if (!id || id->empty() || id->size() > 1024 || !IsVisible(*id)) return Wrong("no lease_id");
  out.id = *id;
  SALLYPORT_TRY(out.life, ReadLife(root["lease_duration"]));
  if (out.life < seconds(1)) return Wrong("a lease that has ended");
  out.renewable = root["renewable"].boolean().value_or(false);
  if (!with_login) return out;
  const auto user = root["data"]["username"].string(), password = root["data"]["password"].string();
  // 63: what PostgreSQL takes of a name.
  if (!user || user->empty() || user->size() > 63 || user->contains('\0'))
    return Wrong("no username");
  if (!password || password->empty() || password->size() > 1024 || password->contains('\0'))
    return Wrong("no password");
  out.user = *user;
  out.password = Secret(std::string(*password));
  return out;
}

Result<SecretMembers> ReadSecretValue(std::string_view json) {
  SALLYPORT_TRY(const json::Document doc, Parse(json));
  const auto text = doc.root()["SecretString"].string();
  if (!text) return Wrong("no SecretString; binary secrets are not read");
  if (text->empty() || text->size() > kMostBytes || text->contains('\0'))
    return Wrong("a SecretString that is no secret");
  SecretMembers out;
  out.whole = Secret(std::string(*text));
  if (auto inner = Parse(out.whole.Reveal())) SALLYPORT_CHECK(ReadMembers(inner->root(), out));
  return out;
}

std::string AwsErrorName(std::string_view json) {
  const auto doc = Parse(json);
  if (!doc) return {};
  std::string_view name = doc->root()["__type"].string().value_or("");
  name.remove_prefix(name.find('#') == name.npos ? 0 : name.find('#') + 1);
  const bool word = name.size() <= 64 && std::ranges::all_of(name, [](char c) {
                      return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
                    });
  return word ? std::string(name) : std::string();
}

}  // namespace sallyport::credential
