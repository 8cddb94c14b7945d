#include "approval/sightings.h"

#include <set>
#include <string_view>

namespace sallyport::approval {
namespace {

constexpr size_t kMaxGroups = 1024;  // kept of one person

}  // namespace

void Sightings::Load(Row row) {
  const std::lock_guard lock(mutex_);
  persons_[{std::move(row.issuer), std::move(row.subject)}] = std::move(row.known);
}

std::optional<Sightings::Row> Sightings::See(const op::Principal& who, Nanos now) {
  if (!who.agent.empty() || who.subject.empty()) return std::nullopt;
  const std::lock_guard lock(mutex_);
  Known& known = persons_[{who.issuer, who.subject}];
  bool fresh = known.person == 0;
  if (fresh) known.person = now;
  const std::set<std::string_view> here(who.groups.begin(), who.groups.end());
  if (who.groups_complete) {
    fresh |= std::erase_if(known.groups,
                           [&](const auto& group) { return !here.contains(group.first); }) > 0;
  }
  for (const std::string& group : who.groups) {
    if (known.groups.size() >= kMaxGroups) break;
    fresh |= known.groups.try_emplace(group, now).second;
  }
  if (!fresh) return std::nullopt;
  return Row{who.issuer, who.subject, known};
}

Known Sightings::Of(const op::Principal& who) const {
  const std::lock_guard lock(mutex_);
  const auto at = persons_.find({who.issuer, who.subject});
  return at == persons_.end() ? Known{} : at->second;
}

}  // namespace sallyport::approval
