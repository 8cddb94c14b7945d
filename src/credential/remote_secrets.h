#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stop_token>
#include <string>
#include <thread>

#include "credential/store_answers.h"
#include "secrets/source.h"

namespace sallyport::credential {

/// A store behind the network, as fast as a look at memory: what was read of it is kept and read
/// again beside, every `refresh`, or sooner where the store says so; one request per path and time,
/// whoever asks and however often.
///
/// A store that cannot be asked changes nothing: the last reading stays, and it is asked again
/// after 1 s, doubling to 30 s. A store that says no (not_found) ends the reading. Thread-safe.
class RemoteSecrets final : public secrets::Store {
 public:
  /// Reads one path of the store; blocking. `not_found`: the store says no.
  using Ask = std::function<Result<SecretMembers>(const secrets::Ref&, std::stop_token)>;

  RemoteSecrets(std::chrono::seconds refresh, Ask ask);
  ~RemoteSecrets() override;  // ends the request in flight
  RemoteSecrets(const RemoteSecrets&) = delete;

  Result<Secret> Read(const secrets::Ref& ref) override;

 private:
  using Steady = std::chrono::steady_clock::time_point;
  using Key = std::pair<std::string, std::string>;  // name, region
  struct Entry {
    secrets::Ref ref;
    std::optional<SecretMembers> value;
    std::optional<Error> error;  // of the last reading
    bool asking = false;
    int failures = 0;
    Steady next_at;
  };

  void Keep(Entry& entry, Result<SecretMembers> read);  // with mutex_
  void Work();

  const std::chrono::seconds refresh_;
  const Ask ask_;
  std::stop_source stop_;
  std::mutex mutex_;  // not held while a store is asked
  std::condition_variable wake_, read_;
  std::map<Key, Entry> entries_;  // never removed: those of the configuration
  std::thread thread_;            // last: it uses the others
};

}  // namespace sallyport::credential
