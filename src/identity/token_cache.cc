#include "identity/token_cache.h"

#include <algorithm>
#include <utility>

namespace sallyport::identity {

TokenCache::TokenCache(size_t max_entries)
    : max_per_part_(std::max<size_t>(1, max_entries / kParts)) {}

VerifiedPtr TokenCache::Find(const TokenDigest& digest, Nanos now) {
  Part& part = PartOf(digest);
  std::lock_guard lock(part.mu);
  auto it = part.index.find(digest);
  if (it == part.index.end()) return nullptr;
  Entry& e = *it->second;
  bool in_time = now >= e.origin.valid_from && now < e.origin.valid_until;
  const bool key_holds =
      e.origin.issuer == nullptr ||
      e.origin.issuer->StillHolds(e.origin.kid, e.origin.thumbprint, e.generation);
  if (!in_time || !key_holds) {
    part.recent.erase(it->second);
    part.index.erase(it);
    return nullptr;
  }
  part.recent.splice(part.recent.begin(), part.recent, it->second);
  return e.token;
}

void TokenCache::Insert(const TokenDigest& digest, VerifiedPtr token, Origin origin) {
  Part& part = PartOf(digest);
  std::lock_guard lock(part.mu);
  if (auto it = part.index.find(digest); it != part.index.end()) {
    part.recent.erase(it->second);
    part.index.erase(it);
  }
  if (part.index.size() >= max_per_part_) {
    part.index.erase(part.recent.back().digest);
    part.recent.pop_back();
  }
  part.recent.emplace_front(digest, std::move(token), std::move(origin));
  part.index.emplace(digest, part.recent.begin());
}

void TokenCache::Clear() {
  for (Part& part : parts_) {
    std::lock_guard lock(part.mu);
    part.index.clear();
    part.recent.clear();
  }
}

size_t TokenCache::size() const {
  size_t n = 0;
  for (const Part& part : parts_) {
    std::lock_guard lock(part.mu);
    n += part.index.size();
  }
  return n;
}

}  // namespace sallyport::identity
