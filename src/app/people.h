#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "access/kept_grants.h"
#include "access/sessions.h"
#include "api/api.h"
#include "app/approvals.h"
#include "config/schema.h"
#include "gate/gate.h"
#include "mask/masker.h"
#include "mcp/frontend.h"
#include "net/shards.h"
#include "pg/frontend.h"
#include "state/writer.h"

namespace sallyport::app {

/// Whether a person has a role of identity.roles.
using Roles = std::function<bool(const op::Principal&, std::string_view role)>;
Roles RolesOf(const config::Root& root);
/// mfa_required if identity.mfa wants a second factor for the role, and the person has shown none.
using Strong = std::function<Result<>(const op::Principal&, std::string_view role)>;
Strong StrongOf(const config::Root& root);

/// Sessions of people, the pages and the API, and the kill switch: what ends a session or a person
/// ends here all that the front-ends hold for them.
class People {
 public:
  /// `state` and the others must outlive it.
  People(const config::Root& root, state::Writer& state, gate::Gate& gate, net::Shards& shards,
         std::shared_ptr<const mask::Masker> masker);
  ~People();

  access::Sessions& sessions() { return *sessions_; }

  /// Where the front-ends are, and the pages. `databases` may be null.
  Result<> Build(const config::Root& root, identity::TokenVerifier& verifier,
                 mcp::Frontend& frontend, pg::Frontend* databases, Approvals& approvals,
                 const credential::IssuerKeys* issuer_keys,
                 std::vector<api::UpstreamLink> upstream_links,
                 std::shared_ptr<review::Desk> reviews);
  api::Api& api() { return *api_; }
  /// Once the shards run: looks ten times a second at what has expired or is idle.
  void Start();
  void Reload(const config::Root& root, std::shared_ptr<const mask::Masker> masker);
  /// Before the shards stop.
  void Stop();

 private:
  struct Cut;
  static boost::asio::awaitable<void> Watch(People& people);
  static boost::asio::awaitable<void> Finish(People& people, std::shared_ptr<Cut> cut);
  void OnEnd(const access::Ended& ended);
  void OnLock(const access::Live& live, bool locked);
  void Record(op::EventType type, const op::AccessEvidence& about,
              const std::string& resource = {});

  gate::Gate& gate_;
  state::Writer& state_;
  net::Shards& shards_;
  const std::string unlock_url_;
  std::atomic<std::shared_ptr<const Roles>> roles_;
  std::atomic<std::shared_ptr<const Strong>> strong_;
  std::atomic<std::shared_ptr<const mask::Masker>> masker_;
  std::atomic<bool> stopped_{false};
  mcp::Frontend* frontend_ = nullptr;
  pg::Frontend* databases_ = nullptr;
  approval::Desk* desk_ = nullptr;
  std::unique_ptr<access::Sessions> sessions_;
  std::unique_ptr<access::Replays> replays_;
  std::unique_ptr<access::KeptGrants> grants_;            // null: nobody is asked about
  std::unique_ptr<identity::Transmitters> transmitters_;  // null: nobody sends security events
  std::unique_ptr<api::Api> api_;
};

}  // namespace sallyport::app
