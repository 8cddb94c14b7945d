#include "policy/unmask.h"

#include <algorithm>

#include "policy/who.h"

namespace sallyport::policy {

const UnmaskGrant* FindUnmaskGrant(const std::vector<UnmaskGrant>& grants, const op::Principal& who,
                                   const op::UnmaskAsk& ask) {
  for (const UnmaskGrant& grant : grants) {
    const bool named = std::ranges::any_of(
        grant.who, [&](const std::string& selector) { return Speaks(selector, who); });
    const bool covers = std::ranges::all_of(ask.detectors, [&](const std::string& name) {
      return std::ranges::find(grant.detectors, name) != grant.detectors.end();
    });
    if (named && covers && !ask.detectors.empty()) return &grant;
  }
  return nullptr;
}

std::string UnmaskPerson(const op::Principal& who) {
  if (who.agent.empty()) return who.name.empty() ? who.subject : who.name;
  return who.owner.starts_with("user:") ? who.owner.substr(5) : std::string();
}

}  // namespace sallyport::policy
