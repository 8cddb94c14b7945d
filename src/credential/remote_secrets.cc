#include "credential/remote_secrets.h"

#include <algorithm>

#include "obs/log.h"

namespace sallyport::credential {
namespace {

using std::chrono::seconds;

constexpr seconds kFirstPause{1}, kLongestPause{30};
constexpr seconds kFirstReading{15};  // others wait so long for the one who makes it

Result<Secret> Select(const SecretMembers& value, const secrets::Ref& ref) {
  if (ref.field.empty()) {
    if (!value.whole.empty()) return value.whole;
  } else if (const auto at = value.members.find(ref.field);
             at != value.members.end() && !at->second.empty()) {
    return at->second;
  }
  return Fail(Errc::not_found, secrets::Describe(ref) + ": there is no such member");
}

}  // namespace

RemoteSecrets::RemoteSecrets(seconds refresh, Ask ask)
    : refresh_(refresh), ask_(std::move(ask)), thread_([this] { Work(); }) {}

RemoteSecrets::~RemoteSecrets() {
  {
    const std::lock_guard lock(mutex_);
    stop_.request_stop();
  }
  wake_.notify_all();
  thread_.join();
}

void RemoteSecrets::Keep(Entry& entry, Result<SecretMembers> read) {
  const Steady now = std::chrono::steady_clock::now();
  entry.asking = false;
  read_.notify_all();
  if (read) {
    seconds again = refresh_;
    if (read->good_for.count() > 0) again = std::clamp(read->good_for / 2, seconds(1), refresh_);
    entry.value = std::move(*read);
    entry.error.reset();
    entry.failures = 0;
    entry.next_at = now + again;
    return;
  }
  if (stop_.stop_requested()) return;
  const bool no = read.error().code == Errc::not_found;
  if (no) entry.value.reset();
  entry.error = std::move(read.error());
  entry.next_at = now + std::min(kFirstPause * (1 << std::min(entry.failures++, 5)),
                                 std::min(kLongestPause, refresh_));
  obs::Log(obs::Level::warn, no ? "secrets.withdrawn" : "secrets.not_renewed",
           {{"secret", secrets::Describe(entry.ref)}, {"detail", entry.error->detail}});
}

Result<Secret> RemoteSecrets::Read(const secrets::Ref& ref) {
  std::unique_lock lock(mutex_);
  const auto [at, fresh] = entries_.try_emplace(Key{ref.name, ref.region});
  Entry& entry = at->second;
  if (fresh) {
    entry.ref = ref;
    entry.ref.field.clear();
    entry.asking = true;
    lock.unlock();
    auto read = ask_(entry.ref, stop_.get_token());
    lock.lock();
    Keep(entry, std::move(read));
    wake_.notify_one();
  } else if (!entry.value && !entry.error) {
    read_.wait_for(lock, kFirstReading, [&] { return entry.value || entry.error; });
  }
  if (entry.value) return Select(*entry.value, ref);
  if (entry.error) return std::unexpected(*entry.error);
  return Fail(Errc::upstream_timeout, secrets::Describe(ref) + ": its store does not answer");
}

void RemoteSecrets::Work() {
  std::unique_lock lock(mutex_);
  while (!stop_.stop_requested()) {
    Entry* due = nullptr;
    for (auto& [key, entry] : entries_) {
      if (!entry.asking && (due == nullptr || entry.next_at < due->next_at)) due = &entry;
    }
    if (due == nullptr) {
      wake_.wait(lock);
      continue;
    }
    if (const Steady at = due->next_at; std::chrono::steady_clock::now() < at) {
      wake_.wait_until(lock, at);
      continue;
    }
    due->asking = true;
    lock.unlock();
    auto read = ask_(due->ref, stop_.get_token());
    lock.lock();
    Keep(*due, std::move(read));
  }
}

}  // namespace sallyport::credential
