#pragma once

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "base/secret.h"
#include "base/task.h"
#include "state/sealer.h"
#include "state/writer.h"

namespace sallyport::access {

/// What a login left behind with which its provider can be asked whether the person is still there:
/// a refresh token, sealed. One for each person, of their latest login. Nothing of it stands in
/// clear anywhere but while it is used. Thread-safe; nothing is cached.
class KeptGrants {
 public:
  struct Person {
    std::string issuer, subject;
    auto operator<=>(const Person&) const = default;
  };

  static Result<> Migrate(state::Database& db);
  KeptGrants(state::Writer& state, state::Sealer sealer)
      : state_(state), sealer_(std::move(sealer)) {}

  /// Durable when it returns, in place of an older one. state_unavailable.
  Task<> Keep(Person person, Secret refresh_token);
  /// not_found; state_unavailable: it cannot be read or opened.
  Task<Secret> Open(Person person);
  /// Forgets those of all but `present`. Some time later.
  void ForgetAllBut(std::vector<Person> present);
  void Forget(Person person);

 private:
  state::Writer& state_;
  const state::Sealer sealer_;
};

}  // namespace sallyport::access
