#include "policy/compiled.h"

#include <algorithm>

namespace sallyport::policy {
namespace {

Result<std::optional<std::vector<Glob>>> MakeGlobs(
    const std::optional<std::vector<std::string>>& texts, std::string_view what) {
  if (!texts) return std::nullopt;
  std::vector<Glob> globs;
  for (const auto& text : *texts) {
    auto glob = Glob::Make(text);
    if (!glob) {
      return Fail(Errc::config_invalid,
                  std::string(what) + " \"" + text + "\": " + glob.error().detail);
    }
    globs.push_back(std::move(*glob));
  }
  return globs;
}

bool Any(const std::optional<std::vector<Glob>>& globs, std::string_view name) {
  return globs && std::ranges::any_of(*globs, [&](const Glob& g) { return g.Matches(name); });
}

}  // namespace

uint32_t WhoTable::Add(std::string_view selector) {
  auto colon = selector.find(':');
  auto kind = selector.substr(0, colon);
  Ids& ids = kind == "group" ? groups_ : kind == "user" ? users_ : agents_;
  auto [at, fresh] = ids.try_emplace(std::string(selector.substr(colon + 1)), size_);
  if (fresh) ++size_;
  return at->second;
}

void WhoTable::Mark(const Ids& ids, std::string_view name, Set& set) const {
  if (auto at = ids.find(name); at != ids.end()) {
    set.bits_[at->second / 64] |= uint64_t{1} << (at->second % 64);
  }
}

WhoTable::Set WhoTable::Of(const op::Principal& who) const {
  Set set;
  set.bits_.resize(size_ / 64 + 1);
  for (const auto& group : who.groups) Mark(groups_, group, set);
  if (!who.agent.empty()) Mark(agents_, who.agent, set);
  if (!users_.empty()) {
    if (!who.name.empty()) Mark(users_, who.name, set);
    if (!who.subject.empty()) {
      Mark(users_, who.subject, set);
      Mark(users_, who.issuer + "|" + who.subject, set);
    }
  }
  return set;
}

bool Rule::ForWho(const WhoTable::Set& set) const {
  return anyone || std::ranges::any_of(who, [&](uint32_t id) { return set.Has(id); });
}

bool Rule::ForConnection(std::string_view connection,
                         const std::map<std::string, std::string>* labels) const {
  if (!spec.connection.empty() && spec.connection != connection) return false;
  return std::ranges::all_of(spec.labels, [&](const auto& wanted) {
    if (!labels) return false;
    auto at = labels->find(wanted.first);
    return at != labels->end() && at->second == wanted.second;
  });
}

bool Rule::Names(op::Verb verb, std::string_view resource, bool has_sql, bool holding_back) const {
  bool names_nothing = !tools && !prompts && !resources;
  if (names_nothing && !sql) return true;
  switch (verb) {
    case op::Verb::tool_call:
      return tools ? Any(tools, resource) : names_nothing && has_sql && holding_back;
    case op::Verb::prompt_get:
      return Any(prompts, resource);
    case op::Verb::resource_read:
    case op::Verb::resource_subscribe:
      return Any(resources, resource);
    case op::Verb::completion:
      return Any(prompts, resource) || Any(resources, resource);
    case op::Verb::sql:
      return sql.has_value() && (names_nothing || holding_back);
    case op::Verb::protocol:
    case op::Verb::list:
      return false;
  }
  return false;
}

Result<Rule> CompileRule(const RuleSpec& spec, WhoTable& table) {
  Rule rule{.spec = spec};
  for (const auto& selector : spec.who) {
    if (selector == "any") {
      rule.anyone = true;
      continue;
    }
    rule.by_group |= selector.starts_with("group:");
    rule.who.push_back(table.Add(selector));
  }
  SALLYPORT_TRY(rule.tools, MakeGlobs(spec.tools, "tool"));
  SALLYPORT_TRY(rule.prompts, MakeGlobs(spec.prompts, "prompt"));
  SALLYPORT_TRY(rule.resources, MakeGlobs(spec.resources, "resource"));
  SALLYPORT_TRY(rule.args, ArgConditions::Make(spec.args));
  if (spec.sql) {
    SALLYPORT_TRY(rule.sql, SqlConditions::Make(*spec.sql));
  }
  return rule;
}

}  // namespace sallyport::policy
