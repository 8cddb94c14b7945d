#include "access/replays.h"

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "base/bytes.h"

namespace sallyport::access {
namespace {

constexpr std::array kSteps{
    "CREATE TABLE replay (digest BLOB PRIMARY KEY, until INTEGER NOT NULL) STRICT;"
    "CREATE INDEX replay_until ON replay (until);"};

TokenDigest KeyOf(std::string_view issuer, std::string_view id) {
  return DigestToken(std::to_string(issuer.size()) + ":" + std::string(issuer) + std::string(id));
}

using Kept = std::vector<std::pair<TokenDigest, Nanos>>;

state::Writer::Work Reading(std::shared_ptr<Kept> kept, Nanos now) {
  return [kept = std::move(kept), now](state::Database& db) -> Result<> {
    kept->clear();
    SALLYPORT_TRY(auto s, db.Use("SELECT digest, until FROM replay WHERE until > ?"));
    s.Bind(now);
    for (;;) {
      SALLYPORT_TRY(const bool more, s.Step());
      if (!more) return {};
      TokenDigest digest{};
      const std::string_view bytes = s.Text(0);
      if (bytes.size() != digest.size()) continue;
      std::ranges::copy(AsBytes(bytes), digest.begin());
      kept->emplace_back(digest, s.Integer(1));
    }
  };
}

}  // namespace

Result<> Replays::Migrate(state::Database& db) { return db.Migrate("replays", kSteps); }

Replays::Replays(state::Writer& state, const Clock& clock) : state_(state), clock_(clock) {
  const auto kept = std::make_shared<Kept>();
  if (!state_.CommitBlocking(Reading(kept, clock.WallNow()))) return;
  for (const auto& [digest, until] : *kept) ends_.emplace(until, taken_.insert(digest).first);
}

bool Replays::Seen(std::string_view issuer, std::string_view id) const {
  const std::lock_guard lock(mutex_);
  return taken_.contains(KeyOf(issuer, id));
}

Result<> Replays::Take(std::string_view issuer, std::string_view id, Nanos until) {
  const TokenDigest digest = KeyOf(issuer, id);
  const Nanos now = clock_.WallNow();
  {
    const std::lock_guard lock(mutex_);
    for (auto end = ends_.begin(); end != ends_.end() && end->first < now; end = ends_.erase(end))
      taken_.erase(end->second);
    if (taken_.contains(digest)) return Fail(Errc::token_used, "it was used before");
    if (taken_.size() >= kMost) return Fail(Errc::limit_exceeded, "too many of these lately");
    ends_.emplace(until, taken_.insert(digest).first);
  }
  (void)state_.Enqueue([digest, until, now](state::Database& db) -> Result<> {
    SALLYPORT_TRY(auto old, db.Use("DELETE FROM replay WHERE until < ?"));
    SALLYPORT_CHECK(old.Bind(now).Run());
    SALLYPORT_TRY(auto s, db.Use("INSERT OR IGNORE INTO replay VALUES (?, ?)"));
    return s.BindBytes(AsText(digest)).Bind(until).Run();
  });
  return {};
}

size_t Replays::size() const {
  const std::lock_guard lock(mutex_);
  return taken_.size();
}

}  // namespace sallyport::access
