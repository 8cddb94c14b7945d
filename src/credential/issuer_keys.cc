#include "credential/issuer_keys.h"

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "base/ids.h"
#include "obs/log.h"
#include "secrets/source.h"

namespace sallyport::credential {
namespace {

namespace fs = std::filesystem;

constexpr Nanos kSecond = 1'000'000'000;

Nanos InNanos(std::chrono::seconds span) { return Nanos(span.count()) * kSecond; }

/// Whole or not at all, readable by the owner alone.
Result<> WriteKey(const fs::path& file, const Secret& pem) {
  const std::string temporary = file.string() + ".new";
  ::unlink(temporary.c_str());
  const Descriptor out(::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  const std::string_view text = pem.Reveal();
  const bool good = out && ::write(out.get(), text.data(), text.size()) == ssize_t(text.size()) &&
                    ::fsync(out.get()) == 0 && ::rename(temporary.c_str(), file.c_str()) == 0;
  if (good) return {};
  return Fail(Errc::io_failed, "cannot write " + file.string() + ": " + std::strerror(errno));
}

/// When a key was made, by its file's name; 0: not the name of one.
Nanos MadeAt(const fs::path& file) {
  const std::string stem = file.stem().string();
  int64_t seconds = 0;
  const auto read = std::from_chars(stem.data(), stem.data() + stem.size(), seconds);
  const bool good = file.extension() == ".pem" && read.ec == std::errc() && *read.ptr == '-';
  return good ? seconds * kSecond : 0;
}

}  // namespace

Result<IssuerKeys::Key> IssuerKeys::Make() const {
  const Nanos now = clock_.WallNow();
  std::string handle = NewHandle(9);
  std::ranges::replace(handle, '-', '_');
  const std::string kid = std::to_string(now / kSecond) + '-' + handle;
  SALLYPORT_TRY(identity::Signer signer, identity::Signer::Generate(identity::Alg::rs256, kid));
  SALLYPORT_TRY(const Secret pem, signer.PrivatePem());
  const fs::path file = directory_ / (kid + ".pem");
  SALLYPORT_CHECK(WriteKey(file, pem));
  obs::Log(obs::Level::info, "credential.issuer_key_made", {{"kid", kid}});
  return Key{now, file, std::move(signer)};
}

Result<IssuerKeys::Set> IssuerKeys::Read() const {
  Set set;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(directory_, error)) {
    const Nanos made_at = MadeAt(entry.path());
    if (made_at == 0) continue;
    SALLYPORT_TRY(const Secret pem,
                  secrets::Resolve({secrets::Ref::Kind::file, entry.path().string()}));
    auto signer =
        identity::Signer::FromPem(pem.Reveal(), identity::Alg::rs256, entry.path().stem().string());
    if (!signer)
      return Fail(Errc::config_invalid, entry.path().string() + ": " + signer.error().detail);
    set.keys.push_back({made_at, entry.path(), std::move(*signer)});
  }
  if (error) return Fail(Errc::io_failed, directory_.string() + ": " + error.message());
  std::ranges::sort(set.keys, {}, &Key::made_at);
  return set;
}

/// Chooses the key that signs: the newest that has been published long enough, or the oldest.
void IssuerKeys::Use(Set set) {
  const Nanos now = clock_.WallNow();
  set.signing = 0;
  for (size_t i = 1; i < set.keys.size(); ++i) {
    if (set.keys[i].made_at + InNanos(kPublishedBefore) <= now) set.signing = i;
  }
  set_.store(std::make_shared<const Set>(std::move(set)));
}

Result<std::shared_ptr<IssuerKeys>> IssuerKeys::Open(fs::path directory, const Clock& clock) {
  std::error_code error;
  fs::create_directories(directory, error);
  fs::permissions(directory, fs::perms::owner_all, error);
  std::shared_ptr<IssuerKeys> keys(new IssuerKeys(std::move(directory), clock));
  SALLYPORT_TRY(Set set, keys->Read());
  if (set.keys.empty()) {
    SALLYPORT_TRY(Key first, keys->Make());
    set.keys.push_back(std::move(first));
  }
  keys->Use(std::move(set));
  SALLYPORT_CHECK(keys->Tick());
  return keys;
}

Result<std::string> IssuerKeys::Sign(std::string_view claims) const {
  const auto set = set_.load();
  return set->keys[set->signing].signer.Sign(claims, "JWT");
}

std::string IssuerKeys::Jwks() const {
  const auto set = set_.load();
  std::string out = R"({"keys":[)";
  for (const Key& key : set->keys) {
    if (out.back() != '[') out += ',';
    out += key.signer.PublicJwk();
  }
  return out + "]}";
}

Result<> IssuerKeys::Tick() {
  const auto set = set_.load();
  const Nanos now = clock_.WallNow();
  const bool old = set->keys.back().made_at + InNanos(kLife) <= now;
  const size_t signing = size_t(std::ranges::count_if(set->keys, [&](const Key& key) {
    return &key != &set->keys.front() && key.made_at + InNanos(kPublishedBefore) <= now;
  }));
  const bool gone = set->keys.size() > 1 &&
                    set->keys[1].made_at + InNanos(kPublishedBefore + kPublishedAfter) <= now;
  if (!old && !gone && signing == set->signing) return {};
  Set next = *set;
  while (next.keys.size() > 1 &&
         next.keys[1].made_at + InNanos(kPublishedBefore + kPublishedAfter) <= now) {
    std::error_code error;
    fs::remove(next.keys.front().file, error);
    next.keys.erase(next.keys.begin());
  }
  Result<> made;
  if (old) {
    auto fresh = Make();
    if (fresh) next.keys.push_back(std::move(*fresh));
    if (!fresh) made = std::unexpected(std::move(fresh).error());
  }
  Use(std::move(next));
  return made;
}

}  // namespace sallyport::credential
