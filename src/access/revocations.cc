#include "access/revocations.h"

#include <algorithm>
#include <iterator>
#include <mutex>

namespace sallyport::access {
namespace {

std::string Key(std::string_view issuer, std::string_view what) {
  std::string key;
  key.reserve(issuer.size() + what.size() + 1);
  key.append(issuer).append(1, '\n').append(what);
  return key;
}

std::string KindKey(const op::Principal& who) {
  std::string key = Key(who.issuer, who.subject);
  key.append(1, '\n').append(who.client_id).append(1, '\n').append(who.token_class);
  return key;
}

}  // namespace

void Revocations::Add(const RevocationRow& row) {
  const std::unique_lock lock(mutex_);
  const auto put = [&](Table& table, std::string_view what) {
    Nanos& at = table[Key(row.issuer, what)];
    at = std::max(at, row.at);
  };
  if (!row.sid.empty()) put(sids_, row.sid);
  if (!row.subject.empty()) put(row.sid.empty() ? persons_ : sidless_, row.subject);
  count_ = persons_.size() + sids_.size() + sidless_.size();
}

void Revocations::AddAll(Nanos at) { all_ = std::max(all_.load(), at); }

bool Revocations::Covers(const op::Principal& who, Nanos issued_at) const {
  // 0: of nobody. A credential that does not say when it was issued counts as older than the epoch.
  if (const Nanos all = all_.load(std::memory_order_relaxed); all != 0 && issued_at <= all)
    return true;
  if (count_.load(std::memory_order_acquire) == 0) return false;
  const std::shared_lock lock(mutex_);
  const auto covered = [&](const auto& table, std::string_view what) {
    const auto at = what.empty() ? table.end() : table.find(Key(who.issuer, what));
    return at != table.end() && issued_at <= at->second;
  };
  return covered(persons_, who.subject) || covered(sids_, who.sid) ||
         (who.sid.empty() && covered(sidless_, who.subject));
}

void Revocations::Forget(Nanos before) {
  const std::unique_lock lock(mutex_);
  const auto old = [&](const auto& entry) { return entry.second < before; };
  std::erase_if(persons_, old);
  std::erase_if(sids_, old);
  std::erase_if(sidless_, old);
  count_ = persons_.size() + sids_.size() + sidless_.size();
}

std::vector<std::string> GroupsSeen::Saw(const op::Principal& who, Nanos issued_at) {
  if (!who.groups_complete) return {};
  std::vector<std::string> now = who.groups, left;
  std::ranges::sort(now);
  const std::unique_lock lock(mutex_);
  if (seen_.size() >= kMost) seen_.clear();
  Seen& seen = seen_[KindKey(who)];
  if (issued_at < seen.issued_at) return {};
  std::ranges::set_difference(seen.groups, now, std::back_inserter(left));
  seen = {issued_at, std::move(now)};
  return left;
}

bool GroupsSeen::Outdated(const op::Principal& who, Nanos issued_at) const {
  const std::shared_lock lock(mutex_);
  const auto seen = seen_.find(KindKey(who));
  if (seen == seen_.end() || seen->second.issued_at <= issued_at) return false;
  return std::ranges::any_of(who.groups, [&](const std::string& group) {
    return !std::ranges::binary_search(seen->second.groups, group);
  });
}

}  // namespace sallyport::access
