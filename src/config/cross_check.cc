#include <algorithm>
#include <map>

#include "config/sections.h"

namespace sallyport::config {
namespace {

void CheckUses(Context& context, const std::vector<Places::Use>& uses,
               const std::vector<std::string_view>& names, std::string_view what) {
  for (const auto& use : uses) {
    if (std::ranges::find(names, use.name) != names.end()) continue;
    context.Error(use.mark, kCfgUnknownName,
                  use.where + ": there is no " + std::string(what) + " \"" + use.name + "\"",
                  Suggest(use.name, names));
  }
}

template <class T>
std::vector<std::string_view> NamesOf(const std::vector<T>& all) {
  std::vector<std::string_view> names;
  for (const auto& one : all) names.push_back(one.name);
  return names;
}

/// Rules by label that no connection has, and rules that need what their connection lacks.
void WarnOfIdleRules(Context& context, const Root& root, const Places& places) {
  for (const auto& rule : root.policies.rules) {
    if (rule.labels.empty()) continue;
    bool any = std::ranges::any_of(root.connections, [&](const Connection& c) {
      return std::ranges::all_of(rule.labels, [&](const auto& label) {
        auto at = c.labels.find(label.first);
        return at != c.labels.end() && at->second == label.second;
      });
    });
    if (!any) {
      context.Warn(places.rule_marks.at(rule.id), kCfgNoEffect,
                   "rule \"" + rule.id + "\": no connection has its labels",
                   "check on.labels and connections[].labels");
    }
  }
}

/// A database that nobody can reach, a listener without a database, columns of what is none.
void WarnOfIdlePostgres(Context& context, const Root& root, const Places& places) {
  const bool listens = !root.server.postgres.empty();
  const bool any = std::ranges::any_of(root.connections,
                                       [](const Connection& c) { return c.postgres.has_value(); });
  if (listens != any) {
    context.Warn({}, kCfgNoEffect,
                 any ? "there are postgres connections, but no server.listen.postgres"
                     : "server.listen.postgres is set, but no connection is a postgres one",
                 any ? "add postgres: \"127.0.0.1:5433\" to server.listen"
                     : "add a connection, or remove the listener");
  }
  for (const auto& use : places.connections) {
    if (!use.where.starts_with("masking.columns")) continue;
    auto at = std::ranges::find(root.connections, use.name, &Connection::name);
    if (at->postgres) continue;
    context.Warn(use.mark, kCfgNoEffect,
                 use.where + ": \"" + use.name + "\" is not a database, it has no columns",
                 "name a postgres connection");
  }
}

/// What connections say of agents and providers.
void CheckNamed(Context& context, const Root& root, const Places& places) {
  std::vector<std::string_view> providers;
  for (const auto& [name, mark] : places.provider_marks) providers.push_back(name);
  for (const Context::Named& named : context.named) {
    if (named.agent || !named.name.empty()) {
      CheckUses(context, {{named.mark, named.where, named.name}},
                named.agent ? NamesOf(root.agents) : providers, named.agent ? "agent" : "provider");
    } else if (providers.size() > 1) {
      context.Error(named.mark, kCfgMissingKey,
                    named.where + " is needed: there is more than one provider",
                    "name the one whose people log in there");
    }
  }
}

/// Groups of several providers are one name space unless they say otherwise: whoever names groups
/// at one of them could make administrators.
void WarnOfSharedGroups(Context& context, const Root& root, const Places& places) {
  std::map<std::string_view, std::string_view> first;  // by prefix
  const auto named = [](const std::vector<std::string>& who) {
    return std::ranges::any_of(who, [](const auto& entry) { return entry.starts_with("group:"); });
  };
  if (std::ranges::none_of(root.roles, [&](const auto& role) { return named(role.second); }))
    return;
  const auto look = [&](std::string_view name, std::string_view prefix) {
    const auto [other, fresh] = first.try_emplace(prefix, name);
    if (fresh) return;
    context.Warn(places.provider_marks.at(std::string(name)), kCfgInsecure,
                 "groups of \"" + std::string(name) + "\" and \"" + std::string(other->second) +
                     "\" have the same names, and some give a role of identity.roles",
                 "add group_prefix to one, unless its administrators may name groups of the other");
  };
  for (const auto& provider : root.providers) {
    if (provider.token_class == identity::TokenClass::access)
      look(provider.name, provider.group_prefix);
  }
  for (const auto& provider : root.saml) {
    if (!provider.groups.empty()) look(provider.name, provider.group_prefix);
  }
}

}  // namespace

void CheckAcross(Context& context, const Root& root, const Places& places) {
  CheckUses(context, places.connections, NamesOf(root.connections), "connection");
  CheckUses(context, places.detectors, NamesOf(root.masking.detectors), "detector");
  CheckUses(context, places.approvals, NamesOf(root.approvals), "approval flow");
  CheckUses(context, places.agents, NamesOf(root.agents), "agent");
  std::vector<std::string_view>
      providers;  // also those with problems of their own, which are reported there
  for (const auto& [name, mark] : places.provider_marks) {
    if (std::ranges::find(places.saml, name) == places.saml.end()) providers.push_back(name);
  }
  CheckUses(context, places.providers, providers, "OIDC provider");
  CheckNamed(context, root, places);
  providers.insert(providers.end(), places.saml.begin(), places.saml.end());
  CheckUses(context, places.login_providers, providers, "identity provider");
  if (HasErrors(context.problems)) return;
  WarnOfIdleRules(context, root, places);
  WarnOfIdlePostgres(context, root, places);
  WarnOfSharedGroups(context, root, places);
  // The identity section is checked once more by its owner, which knows algorithms and key rules.
  if (auto checked = identity::CheckConfig({root.providers, root.agents}); !checked) {
    context.Error({}, kCfgBadValue, "identity: " + checked.error().detail);
  }
  if (auto compiled = policy::RuleSet::Compile(root.policies); !compiled) {
    context.Error({}, kCfgRule, compiled.error().detail);
  }
}

}  // namespace sallyport::config
