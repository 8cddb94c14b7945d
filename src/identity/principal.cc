#include "identity/principal.h"

#include <algorithm>
#include <utility>

#include "identity/groups.h"
#include "identity/workload.h"

namespace sallyport::identity {
namespace {

bool IsDisplayName(std::string_view s) {
  return !s.empty() && s.size() <= 256 && !LooksLikeAccount(s) &&
         std::ranges::none_of(s, [](uint8_t c) { return c < 0x20 || c == 0x7f; });
}

std::string DisplayName(json::Value claims, const ProviderConfig& provider,
                        const std::string& subject) {
  for (std::string_view name :
       {std::string_view(provider.claims.user), std::string_view("preferred_username")}) {
    auto text = FindClaim(claims, name).string();
    if (text && IsDisplayName(*text)) return std::string(*text);
  }
  return subject;
}

/// A configured condition on a claim: texts as they are, numbers and booleans by their JSON
/// spelling.
bool ClaimIs(json::Value claims, const std::string& name, const std::string& wanted) {
  json::Value v = FindClaim(claims, name);
  if (auto text = v.string()) return *text == wanted;
  bool scalar = v.is(json::Kind::number) || v.is(json::Kind::boolean);
  return scalar && v.raw() == wanted;
}

bool Matches(const AgentConfig::Match& match, json::Value claims, const CheckedClaims& checked) {
  if (!match.client_id.empty() && match.client_id != checked.client_id) return false;
  if (!match.subject.empty() && match.subject != checked.subject) return false;
  return std::ranges::all_of(match.claims, [&](const auto& condition) {
    return ClaimIs(claims, condition.first, condition.second);
  });
}

}  // namespace

bool LooksLikeAccount(std::string_view text) {
  const size_t bar = text.find('|');
  return bar != text.npos && text.find(':') < bar;
}

Result<VerifiedToken> MakeVerified(json::Value claims, const CheckedClaims& checked,
                                   const ProviderConfig& provider,
                                   const std::vector<AgentConfig>& agents) {
  if (LooksLikeAccount(checked.subject))
    return Fail(Errc::token_claims_invalid, "sub has the form by which rules name accounts");
  VerifiedToken out;
  out.issued_at = checked.issued_at;
  out.expires_at = checked.expires_at;
  out.token_id = checked.token_id;
  out.scopes = checked.scopes;
  out.bound_key = checked.bound_key;
  out.bound_certificate = checked.bound_certificate;
  out.whole_gateway = checked.whole_gateway;
  out.resources = checked.resources;

  op::Principal& who = out.principal;
  who.issuer = provider.issuer;
  who.subject = checked.subject;
  who.name = DisplayName(claims, provider, checked.subject);
  who.provider = provider.name;
  who.client_id = checked.client_id;
  who.sid = checked.sid;
  who.acr = checked.acr;
  who.amr = checked.amr;
  who.auth_time = checked.auth_time;
  who.token_class = TokenClassName(provider.token_class);
  who.expires_at = checked.expires_at;
  for (const AgentConfig& agent : agents) {
    if (!Matches(agent.match, claims, checked)) continue;
    if (!who.agent.empty()) {
      return Fail(Errc::token_claims_invalid, "the token matches more than one configured agent");
    }
    who.agent = agent.name;
    who.owner = agent.owner;
  }
  if (IsWorkload(provider.token_class)) who.origin = OriginOf(claims, provider.token_class);
  if (IsWorkload(provider.token_class) && who.agent.empty()) {
    return Fail(Errc::token_type_wrong,
                "a workload's token is accepted only for a configured agent, and none matches");
  }
  Groups groups = ReadGroups(claims, provider.claims.groups, provider.groups_cut_at);
  who.groups = std::move(groups.names);
  for (std::string& group : who.groups) group.insert(0, provider.group_prefix);
  who.groups_complete = groups.complete;
  out.groups_note = std::move(groups.why);
  return out;
}

}  // namespace sallyport::identity
