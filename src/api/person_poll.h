#pragma once

#include <atomic>
#include <chrono>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "access/kept_grants.h"
#include "access/sessions.h"
#include "api/login_provider.h"
#include "api/logins.h"
#include "api/workers.h"

namespace sallyport::api {

/// One provider that is asked, by its name in the configuration.
struct PersonPollSource {
  std::string provider;
  std::chrono::seconds every{60}, unreachable_for{600};
};

/// Asks providers that tell us nothing whether people with live sessions are still there: it
/// redeems the refresh token of their login (RFC 6749 section 6), which a provider refuses for
/// somebody who has left. Who is refused has no session any more; so has, after a while, whoever
/// nobody can be asked about: no answer is no "still there".
class PersonPoll {
 public:
  struct Source {
    const LoginProvider* provider = nullptr;
    std::chrono::seconds every{60}, unreachable_for{600};
  };
  struct Options {
    access::Sessions& sessions;
    Logins& logins;
    Workers& workers;
    access::KeptGrants* grants = nullptr;
    const Clock& clock;
    std::vector<Source> sources;
  };
  explicit PersonPoll(Options options) : options_(std::move(options)) {}

  /// Whether people of this provider are asked about.
  bool Wants(const LoginProvider& provider) const;
  /// What a login left behind; empty: the provider gave none. Only one is kept: the refresh token,
  /// or the access token for as long as it lasts.
  struct Given {
    Secret refresh, access;
    Nanos access_until = 0;
  };
  /// Of a login that has just succeeded; durable when it returns.
  Task<> Keep(const LoginProvider& provider, std::string subject, Given given);

  /// Until Stop; on one shard.
  boost::asio::awaitable<void> Run();
  void Stop() { stopped_ = true; }

 private:
  using Person = access::KeptGrants::Person;
  struct Known {
    Nanos asked_at = 0, answered_at = 0;  // wall
    bool asking = false;
  };
  enum class Answer : uint8_t { there, gone, none };

  void Look();
  static boost::asio::awaitable<void> Ask(PersonPoll& self, const Source& source, Person person);
  Task<Answer> Question(const Source& source, const Person& person);
  Task<Answer> Redeem(const Source& source, const Person& person, Secret refresh_token);
  Task<Answer> LookUp(const Source& source, const Person& person, Secret access_token);
  boost::asio::awaitable<void> End(const Person& person, std::string why);

  const Options options_;
  std::atomic<bool> stopped_{false};
  std::mutex mutex_;
  std::map<Person, Known> people_;
  size_t asking_ = 0;
  std::vector<std::pair<const Source*, Person>> due_;  // of one Look
  Nanos swept_at_ = 0;
};

}  // namespace sallyport::api
