#include "policy/who.h"

#include <algorithm>

namespace sallyport::policy {

bool Speaks(std::string_view selector, const op::Principal& who) {
  if (selector == "any") return true;
  if (selector.starts_with("group:"))
    return std::ranges::find(who.groups, selector.substr(6)) != who.groups.end();
  if (selector.starts_with("agent:")) return !who.agent.empty() && selector.substr(6) == who.agent;
  if (!selector.starts_with("user:")) return false;
  const std::string_view name = selector.substr(5);
  return !name.empty() &&
         (name == who.name || name == who.subject || name == who.issuer + '|' + who.subject);
}

}  // namespace sallyport::policy
