#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "access/digest.h"
#include "base/clock.h"
#include "base/task.h"
#include "state/writer.h"

namespace sallyport::oauth {

/// One person's yes to one client, redirect, resource and scope: no other is covered by it.
struct Consent {
  std::string issuer, subject;  // the person
  std::string client;           // Client::id
  std::string redirect;
  std::string resource, scope;

  /// SHA-256 over the fields, each with its length in front.
  access::TokenDigest Digest() const;
};

/// The refresh tokens of one session: the one that is in use, and the one that it replaced.
struct Family {
  std::string session, client;
  access::TokenDigest handle{};  // of what all of them begin with
  access::TokenDigest current{}, before{};
  bool has_before = false;
  bool forgiven = false;  // the one before was taken a second time already
  Nanos rotated_at = 0, until = 0;
};

/// Where grants outlive the process. Thread-safe.
class Store {
 public:
  struct Loaded {
    std::vector<Family> families;
    std::vector<std::pair<access::TokenDigest, Nanos>> consents;
  };
  virtual ~Store() = default;
  virtual Result<Loaded> Load() = 0;
  /// Durable when they return; state_unavailable.
  virtual Task<> Put(Family family) = 0;
  virtual Task<> Put(access::TokenDigest consent, Nanos until) = 0;
  virtual void Forget(std::vector<std::string> sessions, Nanos before) = 0;
};

/// Brings the tables up to date, before the database is given to its writer.
Result<> PrepareState(state::Database& db);

/// Tables `oauth_refresh` and `oauth_consent` of the gate's embedded state. `writer` must outlive
/// it.
std::shared_ptr<Store> MakeSqliteStore(state::Writer& writer);

}  // namespace sallyport::oauth
