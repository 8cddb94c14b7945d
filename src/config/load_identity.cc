#include <algorithm>

#include "config/sections.h"
#include "config/units.h"
#include "identity/workload.h"
#include "saml/source.h"

namespace sallyport::config {
namespace {

std::string ReadGroupPrefix(Fields& fields) {
  std::string prefix = fields.Text("group_prefix").value_or("");
  const bool plain =
      std::ranges::none_of(prefix, [](uint8_t c) { return c <= 0x20 || c == 0x7f || c == ','; });
  if (prefix.size() > 64 || !plain)
    fields.context().Error(fields.ValueMark("group_prefix"), kCfgBadValue,
                           fields.where() + ".group_prefix is no beginning of a group's name",
                           "write one word, such as partner/");
  return prefix;
}

using std::chrono::seconds;

void Set(seconds& target, std::optional<std::chrono::milliseconds> value) {
  if (value) target = std::chrono::duration_cast<seconds>(*value);
}

void ReadClaims(Context& context, const Node& node, identity::ClaimNames& claims,
                const std::string& where) {
  Fields fields(context, node, where);
  if (auto user = fields.Text("user")) claims.user = *user;
  if (auto groups = fields.Text("groups")) claims.groups = *groups;
  fields.Done();
}

/// `audience` and the like: one text or a list of them.
std::vector<std::string> OneOrMore(Fields& fields, std::string_view key) {
  const Node* node = fields.Get(key);
  if (node == nullptr) return {};
  if (node->is(Node::Kind::sequence)) return fields.Texts(key);
  auto text = fields.Text(key);
  return text ? std::vector<std::string>{*text} : std::vector<std::string>{};
}

void ReadTrust(Fields& fields, identity::ProviderConfig& p) {
  using namespace std::chrono_literals;
  if (fields.Get("algorithms") != nullptr) p.algorithms = fields.Texts("algorithms");
  if (auto alg = fields.Choice("rsa_default_alg", {"RS256", "PS256"})) p.rsa_default_alg = *alg;
  p.require_at_jwt = fields.Bool("require_at_jwt").value_or(false);
  Set(p.skew, fields.Duration("skew", 0s, 300s));
  Set(p.max_lifetime, fields.Duration("max_lifetime", 1min, 24h));
  Set(p.stale_if_error, fields.Duration("stale_if_error", 0s, 72h));
  if (auto cut = fields.Count("groups_cut_at", 0, 100'000)) p.groups_cut_at = *cut;
  p.group_prefix = ReadGroupPrefix(fields);
  if (auto uri = fields.Text("jwks_uri")) p.jwks_uri = *uri;
  if (auto file = fields.Path("jwks_file")) p.jwks_file = file->string();
  if (auto ca = fields.Path("ca")) p.ca_file = ca->string();
  p.allow_addresses = fields.Texts("allow_addresses");
  p.allow_loopback_http = fields.Bool("allow_loopback_http").value_or(true);
  if (!p.jwks_uri.empty() && !p.jwks_file.empty()) {
    fields.context().Error(fields.MarkOf("jwks_file"), kCfgConflict,
                           fields.where() + ".jwks_uri and .jwks_file exclude each other",
                           "keep one");
  }
}

void CheckTarget(Fields& fields, std::string_view key, const std::string& url,
                 bool allow_loopback_http) {
  const auto parsed = ParseUrl(url);
  if (url.empty() || (parsed && (parsed->https || (parsed->loopback && allow_loopback_http))))
    return;
  fields.context().Error(fields.ValueMark(key), parsed ? kCfgInsecure : kCfgBadValue,
                         fields.where() + "." + std::string(key) + " must be an https URL",
                         "write https://…");
}

void ReadIntrospection(Context& context, const Node& node, identity::ProviderConfig& p,
                       const std::string& where, const Root& root) {
  Fields fields(context, node, where);
  identity::IntrospectionConfig& asked = p.introspection;
  asked.client_id = fields.RequiredText("client_id", "write who the gateway is at the provider");
  if (fields.Require("client_secret", "write client_secret: { file: PATH }") != nullptr)
    asked.client_secret = fields.Secret("client_secret").value_or(secrets::Ref{});
  asked.endpoint = fields.Text("endpoint").value_or("");
  asked.token_prefix = fields.Text("token_prefix").value_or("");
  CheckTarget(fields, "endpoint", asked.endpoint, p.allow_loopback_http);
  for (const auto& other : root.providers) {
    const std::string &a = asked.token_prefix, &b = other.introspection.token_prefix;
    if (other.introspection.client_id.empty() || !(a.starts_with(b) || b.starts_with(a))) continue;
    context.Error(node.mark, kCfgConflict,
                  where + ": an opaque token could be one of \"" + other.name +
                      "\" too, and would be shown to the wrong one",
                  "give both token_prefix, none of them the beginning of the other");
  }
  if (p.token_class != identity::TokenClass::access)
    context.Error(node.mark, kCfgConflict, where + " is for access tokens only", "remove it");
  fields.Done();
}

void ReadTokenReview(Context& context, const Node& node, identity::ProviderConfig& p,
                     const std::string& where) {
  Fields fields(context, node, where);
  p.token_review.url = fields.RequiredText("url", "write the https URL of the API server");
  if (auto ca = fields.Path("ca")) p.token_review.ca_file = ca->string();
  if (fields.Require("token", "write token: { file: PATH }") != nullptr)
    p.token_review.token = fields.Secret("token").value_or(secrets::Ref{});
  CheckTarget(fields, "url", p.token_review.url, p.allow_loopback_http);
  if (p.token_class != identity::TokenClass::k8s_sa)
    context.Error(node.mark, kCfgConflict, where + " is for class: k8s-sa only", "remove it");
  fields.Done();
}

void ReadProof(Fields& fields, identity::ProviderConfig& p) {
  const auto dpop = fields.Choice("dpop", {"optional", "required"});
  if (!dpop) return;
  p.dpop = *dpop == "required" ? identity::Dpop::required : identity::Dpop::advertised;
  if (p.token_class != identity::TokenClass::access)
    fields.context().Error(fields.MarkOf("dpop"), kCfgConflict,
                           fields.where() + ".dpop is for access tokens only", "remove it");
}

void ReadOidc(Context& context, const Node& node, identity::ProviderConfig& p, Login& login,
              const std::string& where, const Root& root) {
  const std::string& public_url = root.server.public_url;
  Fields fields(context, node, where);
  p.issuer = fields.RequiredText("issuer", "write the issuer exactly as its tokens have it in iss");
  if (auto id = fields.Text("client_id")) p.client_id = *id;
  login.secret = fields.Secret("client_secret");
  login.scopes = fields.Texts("scopes");
  p.audiences = OneOrMore(fields, "audience");
  if (p.audiences.empty() && !public_url.empty()) p.audiences = {public_url};
  if (!public_url.empty()) p.resource_prefix = public_url + "/mcp/";
  p.clients = OneOrMore(fields, "clients");
  if (auto name = fields.Text("class")) {
    auto parsed = identity::ParseTokenClass(*name);
    if (parsed) {
      p.token_class = *parsed;
    } else {
      context.Error(fields.ValueMark("class"), kCfgBadValue,
                    where + ".class: " + parsed.error().detail);
    }
  }
  if (const Node* claims = fields.Get("claims"))
    ReadClaims(context, *claims, p.claims, where + ".claims");
  ReadTrust(fields, p);
  ReadProof(fields, p);
  if (const Node* asked = fields.Get("introspection"))
    ReadIntrospection(context, *asked, p, where + ".introspection", root);
  if (const Node* review = fields.Get("token_review"))
    ReadTokenReview(context, *review, p, where + ".token_review");
  if (!p.issuer.empty()) {
    auto url = ParseUrl(p.issuer);
    if (!url) {
      context.Error(fields.ValueMark("issuer"), kCfgBadValue, where + ".issuer is not a URL",
                    "write https://…");
    } else if (!url->https && !(url->loopback && p.allow_loopback_http)) {
      context.Error(
          fields.ValueMark("issuer"), kCfgInsecure, where + ".issuer must be https",
          url->loopback ? "or add allow_loopback_http: true (development only)" : "write https://");
    }
  }
  fields.Done();
}

/// What the metadata says is judged by whoever loads (LoadOptions::saml_metadata).
void CheckMetadata(Fields& fields, const SamlProvider& provider) {
  Context& context = fields.context();
  const auto& look = context.saml_metadata;
  if (!look || provider.metadata.empty()) return;
  const auto text = saml::ReadSource(provider.metadata);
  if (!text) return;  // a warning says so: it may come later
  if (const auto good = look(*text); !good) {
    context.Error(fields.ValueMark("metadata"), kCfgBadValue,
                  fields.where() + ".metadata cannot be used: " + good.error().detail,
                  "take the metadata that the identity provider shows for this gateway");
  }
}

void ReadSaml(Context& context, const Node& node, const std::string& name, Root& root,
              const std::string& where) {
  Fields fields(context, node, where);
  SamlProvider provider{.name = name};
  if (fields.Require("metadata", "write metadata: { file: PATH }") != nullptr)
    provider.metadata = fields.Secret("metadata").value_or(secrets::Ref{});
  if (const Node* attributes = fields.Get("attributes")) {
    Fields f(context, *attributes, where + ".attributes");
    provider.user = f.Text("user").value_or("");
    provider.groups = f.Text("groups").value_or("");
    f.Done();
  }
  provider.group_prefix = ReadGroupPrefix(fields);
  fields.Done();
  if (root.server.public_url.empty()) {
    context.Error(node.mark, kCfgMissingKey, where + " needs server.public_url",
                  "the identity provider sends people back there");
  }
  CheckMetadata(fields, provider);
  root.saml.push_back(std::move(provider));
}

void ReadProvider(Context& context, const Node& node, Root& root, Places& places) {
  Fields fields(context, node, "identity.providers[" + std::to_string(root.providers.size()) + "]");
  identity::ProviderConfig provider;
  provider.name = fields.RequiredText("name", "add name: it stands in the log and in agents");
  CheckName(context, fields.ValueMark("name"), "identity provider", provider.name,
            places.provider_marks);
  const Node* oidc = fields.Get("oidc");
  const Node* saml = fields.Get("saml");
  std::string where = "identity.providers." + provider.name;
  if ((oidc != nullptr) == (saml != nullptr)) {
    context.Error(node.mark, oidc != nullptr ? kCfgConflict : kCfgMissingKey,
                  fields.where() + " needs exactly one of oidc and saml", "keep one");
  } else if (oidc != nullptr) {
    Login login;
    ReadOidc(context, *oidc, provider, login, where + ".oidc", root);
    if (!provider.client_id.empty() && provider.token_class == identity::TokenClass::access) {
      login.provider = provider.name;
      root.logins.push_back(std::move(login));
    }
    auto twice =
        std::ranges::find(root.providers, provider.issuer, &identity::ProviderConfig::issuer);
    if (!provider.issuer.empty() && twice != root.providers.end()) {
      context.Error(oidc->mark, kCfgDuplicateName,
                    where + ".oidc.issuer belongs to provider \"" + twice->name + "\" already",
                    "an issuer has one provider and one class");
    }
    const bool people = !root.logins.empty() && root.logins.back().provider == provider.name;
    ReadSignals(fields, &provider, people, root);
    root.providers.push_back(std::move(provider));
  } else {
    ReadSignals(fields, nullptr, false, root);
    ReadSaml(context, *saml, provider.name, root, where + ".saml");
    places.saml.push_back(provider.name);
  }
  fields.Done();
}

void ReadAgent(Context& context, const Node& node, Root& root, Places& places) {
  Fields fields(context, node, "identity.agents[" + std::to_string(root.agents.size()) + "]");
  identity::AgentConfig agent;
  agent.name = fields.RequiredText("name", "add name: rules say agent:NAME");
  CheckName(context, fields.ValueMark("name"), "agent", agent.name, places.agent_marks);
  if (fields.Require("owner",
                     "write who answers for it: owner: group:NAME or user:NAME (PCI DSS 8.6)") !=
      nullptr) {
    agent.owner = fields.Text("owner").value_or("");
    bool person = (agent.owner.starts_with("group:") && agent.owner.size() > 6) ||
                  (agent.owner.starts_with("user:") && agent.owner.size() > 5);
    if (!agent.owner.empty() && !person) {
      context.Error(fields.ValueMark("owner"), kCfgBadValue,
                    fields.where() + ".owner must be a group or a person",
                    "write group:NAME or user:NAME");
    }
  }
  if (const Node* match =
          fields.Require("match", "write match: { provider: NAME, client_id: ID }")) {
    Fields f(context, *match, fields.where() + ".match");
    agent.match.certificate = f.Text("certificate").value_or("");
    const bool certificate = f.Get("certificate") != nullptr;
    if (!certificate || f.Get("provider") != nullptr)
      agent.match.provider = f.RequiredText("provider", "name one of identity.providers");
    agent.match.client_id = f.Text("client_id").value_or("");
    agent.match.subject = f.Text("subject").value_or("");
    for (auto& [key, value] : f.TextMap("claims")) agent.match.claims[key] = value;
    if (!agent.match.provider.empty()) {
      places.providers.push_back(
          {f.ValueMark("provider"), f.where() + ".provider", agent.match.provider});
    }
    if (certificate) {
      if (const auto good = identity::CheckCertificateMatch(agent.match); !good)
        context.Error(f.ValueMark("certificate"), kCfgBadValue, f.where() + ".certificate",
                      good.error().detail);
    } else if (agent.match.client_id.empty() && agent.match.subject.empty() &&
               agent.match.claims.empty()) {
      context.Error(match->mark, kCfgMissingKey, f.where() + " matches every token of the provider",
                    "add client_id, subject or claims");
    }
    const auto provider =
        std::ranges::find(root.providers, agent.match.provider, &identity::ProviderConfig::name);
    if (provider != root.providers.end()) {
      if (const auto pinned = identity::CheckPinned(agent.match, provider->token_class); !pinned)
        context.Error(match->mark, kCfgBadValue,
                      f.where() + " matches " +
                          std::string(identity::TokenClassName(provider->token_class)) +
                          " tokens by what is not theirs for good",
                      pinned.error().detail);
    }
    f.Done();
  }
  fields.Done();
  root.agents.push_back(std::move(agent));
}

void ReadMfa(Context& context, const Node& node, Root& root) {
  Fields fields(context, node, "identity.mfa");
  static const std::vector<std::string_view> kRoles{"admin", "approver", "auditor"};
  for (const auto& role : fields.Texts("require_for")) {
    if (std::ranges::find(kRoles, role) == kRoles.end()) {
      context.Error(fields.ValueMark("require_for"), kCfgUnknownName,
                    "identity.mfa.require_for: there is no role \"" + role + "\"",
                    Suggest(role, kRoles));
    }
    root.mfa.require_for.push_back(role);
  }
  root.mfa.accept = fields.Texts("accept");
  root.mfa.acr_values = fields.Texts("acr_values");
  if (std::ranges::count(root.mfa.accept, "pwd") != 0)
    context.Error(fields.ValueMark("accept"), kCfgBadValue,
                  "identity.mfa.accept: a password is no second factor", "remove pwd");
  root.policies.second_factors = root.mfa.accept;
  fields.Done();
}

void ReadPerson(Context& context, const Node& node, Root& root, Places& places,
                std::map<std::string, Mark>& names, std::map<std::string, std::string>& owners) {
  Fields fields(context, node, "identity.persons[" + std::to_string(root.persons.size()) + "]");
  Person person;
  person.name = fields.RequiredText("name", "add name: it is for readers of this file");
  CheckName(context, fields.ValueMark("name"), "person", person.name, names);
  fields.Require("accounts", "write accounts: [{ provider: NAME, subject: SUB }, …]");
  for (const Node& item : fields.List("accounts")) {
    Fields f(context, item, fields.where() + ".accounts");
    Person::Account account;
    account.provider = f.RequiredText("provider", "name one of identity.providers");
    account.subject =
        f.RequiredText("subject", "write the sub of its tokens, or the NameID (SAML)");
    if (!account.provider.empty())
      places.login_providers.push_back({f.ValueMark("provider"), f.where(), account.provider});
    const auto [at, fresh] =
        owners.try_emplace(account.provider + "|" + account.subject, person.name);
    if (!fresh) {
      context.Error(item.mark, kCfgDuplicateName,
                    f.where() + ": the account belongs to \"" + at->second + "\" already",
                    "an account has one person");
    }
    f.Done();
    person.accounts.push_back(std::move(account));
  }
  if (person.accounts.size() == 1) {
    context.Warn(node.mark, kCfgNoEffect, fields.where() + " has one account: it links nothing",
                 "add the person's other accounts");
  }
  fields.Done();
  root.persons.push_back(std::move(person));
}

}  // namespace

void ReadIdentity(Context& context, const Node& node, Root& root, Places& places) {
  Fields fields(context, node, "identity");
  for (const Node& provider : fields.List("providers"))
    ReadProvider(context, provider, root, places);
  for (const Node& agent : fields.List("agents")) ReadAgent(context, agent, root, places);
  std::map<std::string, Mark> person_names;
  std::map<std::string, std::string> account_owners;
  for (const Node& person : fields.List("persons"))
    ReadPerson(context, person, root, places, person_names, account_owners);
  if (const Node* server = fields.Get("oauth_server"))
    ReadOauthServer(context, *server, root, places);
  if (const Node* mfa = fields.Get("mfa")) ReadMfa(context, *mfa, root);
  if (const Node* roles = fields.Get("roles")) {
    Fields f(context, *roles, "identity.roles");
    for (std::string_view role : {"admin", "approver", "auditor"}) {
      if (f.Get(role) == nullptr) continue;
      const auto& who = root.roles[std::string(role)] = ReadWho(f, role, false, places);
      for (const std::string& entry : who) {
        if (!entry.starts_with("user:") || entry.find('@') == entry.npos ||
            entry.find('|') != entry.npos)
          continue;
        context.Warn(f.ValueMark(role), kCfgNoEffect,
                     "identity.roles." + std::string(role) + ": " + entry +
                         " is taken for a subject; a role is never given to a name or an e-mail "
                         "address, which people choose themselves at some providers",
                     "write user:SUBJECT, user:ISSUER|SUBJECT (`sallyport whoami` shows both) or a "
                     "group");
      }
    }
    f.Done();
  }
  fields.Done();
  if (root.providers.empty() && root.saml.empty() && !HasErrors(context.problems)) {
    context.Warn(node.mark, kCfgNoEffect,
                 "no identity provider is configured, so nobody can sign in",
                 "add identity.providers");
  }
}

}  // namespace sallyport::config
