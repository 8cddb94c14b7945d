#include "access/target.h"

#include <algorithm>

namespace sallyport::access {

bool Target::Means(const op::Principal& who) const {
  if (!session.empty()) return who.session == session;
  if (issuer.empty() || who.issuer != issuer) return false;
  if (!sid.empty() && who.sid == sid) return true;
  if (!sid.empty() && !who.sid.empty()) return false;
  if (subject.empty() || who.subject != subject) return false;
  return left_groups.empty() || std::ranges::any_of(left_groups, [&](const std::string& group) {
           return std::ranges::find(who.groups, group) != who.groups.end();
         });
}

}  // namespace sallyport::access
