#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/secret.h"
#include "base/task.h"
#include "credential/config.h"
#include "credential/fetch_seam.h"
#include "credential/renewal.h"

namespace sallyport::credential {

/// Passwords for one database at RDS or Aurora: a token for each connection, signed when it is
/// asked for (sigv4.h, RdsToken). The AWS key behind it is kept and renewed as for `sigv4`.
/// Thread-safe.
class RdsPasswords {
 public:
  struct Database {
    std::string connection;  // its name, for the log
    std::string host, user;
    uint16_t port = 5432;
  };
  /// `clock` must outlive it.
  RdsPasswords(Database database, RdsIam config, Fetch fetch, const Clock& clock);

  struct Password {
    Secret token;
    MaterialPtr key;  // that it was signed with, for Refused
  };
  /// Waits only where no AWS key is at hand. upstream_credential_failed.
  Task<Password> Make();
  /// The database did not take a token that this key made: the next one gets another key.
  void Refused(const MaterialPtr& key);

 private:
  const Database database_;
  const RdsIam config_;
  const Clock& clock_;
  Renewal::Obtain obtain_;
  Renewal keys_;  // last: its thread uses the others
};

}  // namespace sallyport::credential
