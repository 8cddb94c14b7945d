#include "credential/issuer_keys.h"

#include <algorithm>
#include <charconv>

#include "base/ids.h"
#include "obs/log.h"

namespace sallyport::credential {
namespace {

constexpr Nanos kSecond = 1'000'000'000;

Nanos InNanos(std::chrono::seconds span) { return Nanos(span.count()) * kSecond; }

}  // namespace

int64_t MadeAt(std::string_view kid) {
  int64_t seconds = 0;
  const char* end = kid.data() + kid.size();
  const auto read = std::from_chars(kid.data(), end, seconds);
  const auto word = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  };
  const bool good = read.ec == std::errc() && seconds > 0 && kid.size() <= 64 && read.ptr != end &&
                    *read.ptr == '-' && std::all_of(read.ptr + 1, end, word);
  return good ? seconds : 0;
}

Result<IssuerKeys::Key> IssuerKeys::Make() const {
  const Nanos now = clock_.WallNow();
  std::string handle = NewHandle(9);
  std::ranges::replace(handle, '-', '_');
  SALLYPORT_TRY(KeyHome::Held held, home_->Make(std::to_string(now / kSecond) + '-' + handle));
  obs::Log(obs::Level::info, "credential.issuer_key_made", {{"kid", held.kid}});
  return Key{now, std::move(held)};
}

Result<IssuerKeys::Set> IssuerKeys::Read() const {
  SALLYPORT_TRY(std::vector<KeyHome::Held> found, home_->Read());
  Set set;
  for (KeyHome::Held& held : found)
    set.keys.push_back({MadeAt(held.kid) * kSecond, std::move(held)});
  std::ranges::sort(set.keys, {}, &Key::made_at);
  return set;
}

/// The newest that has been published long enough, or the oldest.
size_t IssuerKeys::Signing(const Set& set) const {
  size_t signing = 0;
  for (size_t i = 1; i < set.keys.size(); ++i) {
    if (set.keys[i].made_at + InNanos(kPublishedBefore) <= clock_.WallNow()) signing = i;
  }
  return signing;
}

bool IssuerKeys::Old(const Set& set) const {
  return set.keys.back().made_at + InNanos(kLife) <= clock_.WallNow();
}

bool IssuerKeys::Gone(const Set& set) const {
  return set.keys.size() > 1 &&
         set.keys[1].made_at + InNanos(kPublishedBefore + kPublishedAfter) <= clock_.WallNow();
}

void IssuerKeys::Use(Set set) {
  set.signing = Signing(set);
  set_.store(std::make_shared<const Set>(std::move(set)));
}

Result<std::shared_ptr<IssuerKeys>> IssuerKeys::Open(std::unique_ptr<KeyHome> home,
                                                     const Clock& clock) {
  std::shared_ptr<IssuerKeys> keys(new IssuerKeys(std::move(home), clock));
  SALLYPORT_TRY(Set set, keys->Read());
  if (set.keys.empty()) {
    SALLYPORT_TRY(Key first, keys->Make());
    set.keys.push_back(std::move(first));
  }
  keys->Use(std::move(set));
  if (const auto kept = keys->Tick(); !kept)
    obs::Log(obs::Level::error, "credential.issuer_keys", {{"detail", kept.error().detail}});
  return keys;
}

Result<std::string> IssuerKeys::Sign(std::string_view claims) const {
  const auto set = set_.load();
  return set->keys[set->signing].held.key->Sign(claims);
}

std::string IssuerKeys::Jwks() const {
  const auto set = set_.load();
  std::string out = R"({"keys":[)";
  for (const Key& key : set->keys) {
    if (out.back() != '[') out += ',';
    out += key.held.key->PublicJwk();
  }
  return out + "]}";
}

bool IssuerKeys::Due() const {
  const auto set = set_.load();
  if (Signing(*set) != set->signing || Gone(*set)) return true;
  return (Old(*set) || waits_) && clock_.WallNow() >= not_before_;
}

Result<> IssuerKeys::DestroyGone() {
  Result<> done;
  std::erase_if(doomed_, [&](const std::string& kid) {
    auto gone = home_->Destroy(kid);
    if (gone) obs::Log(obs::Level::info, "credential.issuer_key_destroyed", {{"kid", kid}});
    if (!gone) done = std::move(gone);
    return gone.has_value();
  });
  return done;
}

Result<> IssuerKeys::Tick() {
  if (!Due()) return {};
  Set next = *set_.load();
  for (; Gone(next); next.keys.erase(next.keys.begin()))
    doomed_.push_back(next.keys.front().held.kid);
  Result<> done;
  if (Old(next) && clock_.WallNow() >= not_before_) {
    auto fresh = Make();
    if (fresh) {
      next.keys.push_back(std::move(*fresh));
    } else {
      done = std::unexpected(std::move(fresh).error());
    }
  }
  Use(std::move(next));
  if (auto destroyed = DestroyGone(); !destroyed) done = std::move(destroyed);
  waits_ = !done;
  if (!done) not_before_ = clock_.WallNow() + InNanos(kAgain);
  return done;
}

}  // namespace sallyport::credential
