#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "credential/auth_metadata.h"
#include "credential/user_tokens.h"
#include "state/sealer.h"
#include "state/writer.h"

namespace sallyport::credential {

/// One person's own account at the upstream of one connection.
struct UserLink {
  std::string id;  // of this link: linking again makes another one
  UserTokens tokens;
  Nanos obtained_at = 0;  // wall; of the access token
  std::string scope, resource;
  std::string bound;  // to which upstream, servers and client: of no use for others
  AuthServer server;  // who gave the tokens; only its issuer and the two URLs are kept
  UserClient client;  // a configured one without its secret
  Nanos linked_at = 0;
};

/// The links of one connection, in the gateway's state: one for each person, sealed (AES-256-GCM)
/// for its place, so that nothing of it stands in clear anywhere but while it is used. What is
/// written is durable when a call returns, and conditional: a refresh that ends after somebody
/// unlinked brings nothing back.
///
/// Thread-safe. Put, Renew, Registered and Register block for the disk: not for shards.
class UserLinks {
 public:
  struct Person {
    std::string issuer, subject;
    auto operator<=>(const Person&) const = default;
  };

  static Result<> Migrate(state::Database& db);
  /// Deletes what is kept of other connections than these: nobody would see to it that it ends.
  static Result<> KeepOnly(const std::vector<std::string>& connections, state::Writer& state);
  /// Reads who has linked. `state` must outlive it. state_unavailable.
  static Result<std::shared_ptr<UserLinks>> Load(std::string connection, state::Writer& state,
                                                 state::Sealer sealer);

  bool Has(const Person& person) const;
  std::string IdOf(const Person& person) const;  // empty: not linked
  std::vector<Person> People() const;
  /// not_found; state_unavailable: it cannot be opened.
  Result<UserLink> Open(const Person& person) const;
  /// In place of an older one.
  Result<> Put(const Person& person, const UserLink& link);
  /// New tokens of the same link. False: the link is not there any more. When the state cannot be
  /// written now, they are used all the same and written later: the old ones may be worth nothing.
  Result<bool> Renew(const Person& person, const UserLink& link);
  /// Forgets it at once, and on the disk soon; false: there was none. `id` empty: whichever.
  bool Drop(const Person& person, const std::string& id = {});

  /// Our client at an authorization server at which we have registered ourselves.
  Result<std::optional<UserClient>> Registered(const std::string& issuer,
                                               const std::string& redirect) const;
  Result<> Register(const std::string& issuer, const std::string& redirect,
                    const UserClient& client);

 private:
  struct Kept {
    std::string id, sealed;
  };
  UserLinks(std::string connection, state::Writer& state, state::Sealer sealer)
      : connection_(std::move(connection)), state_(state), sealer_(std::move(sealer)) {}
  std::string PlaceOf(const Person& person) const;

  const std::string connection_;
  state::Writer& state_;
  const state::Sealer sealer_;
  mutable std::mutex mutex_;
  std::map<Person, Kept> links_;
};

}  // namespace sallyport::credential
