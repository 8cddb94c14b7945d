#pragma once

#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "access/sessions.h"
#include "api/form.h"
#include "api/reply.h"
#include "base/clock.h"
#include "gate/gate.h"
#include "identity/offboarding.h"
#include "identity/verifier.h"
#include "net/http_server.h"
#include "policy/rules.h"

namespace sallyport::approval {
class Desk;
class Passkeys;
}  // namespace sallyport::approval
namespace sallyport::gate {
class Refusals;
}
namespace sallyport::credential {
class IssuerKeys;
}
namespace sallyport::review {
class Desk;
}

namespace sallyport::api {

class ChangeFeed;

class DeviceLogins;
class Exchanged;
class Logins;
class OauthServer;
class PersonPoll;
class SamlLogins;
class Signals;
class UpstreamLinks;

/// What all handlers share; references outlive them.
struct Parts {
  gate::Gate& gate;
  access::Sessions& sessions;
  identity::TokenVerifier& verifier;
  const Clock& clock;
  std::string public_url;  // scheme://host[:port], no path
  bool secure = true;      // public_url is https
  /// Whether a person has a role of identity.roles: "admin", "approver", "auditor".
  std::function<bool(const op::Principal&, std::string_view role)> has_role;
  /// mfa_required if identity.mfa wants a second factor for the role, and the person has not signed
  /// in with one. has_role does not look at it.
  std::function<Result<>(const op::Principal&, std::string_view role)> strong;
  std::string acr_values;  // that a login with a second factor asks for
  /// Makes a person's words fit for being kept and shown.
  std::function<op::Payload(std::string_view)> mask;
  Logins* logins = nullptr;           // logins that have begun
  DeviceLogins* devices = nullptr;    // those of programs without a browser
  Exchanged* exchanged = nullptr;     // tokens of workloads that have opened a session
  SamlLogins* saml = nullptr;         // those by SAML
  OauthServer* oauth = nullptr;       // null: not the authorization server of MCP clients
  Signals* signals = nullptr;         // what providers tell of people that leave
  PersonPoll* person_poll = nullptr;  // asks whether people are still there
  gate::Refusals* refusals = nullptr;
  /// How long access may go on after somebody has left, by provider.
  std::vector<identity::Offboarding> offboarding;
  std::map<std::string, std::string> groups_from;  // provider: the claim or attribute they stand in
  approval::Desk* desk = nullptr;                  // null: nothing is approved here
  approval::Passkeys* passkeys = nullptr;
  /// Of tokens for upstreams; null: none are made.
  const credential::IssuerKeys* issuer_keys = nullptr;
  UpstreamLinks* upstream_links = nullptr;  // null: no connection works with people's own accounts
  review::Desk* reviews = nullptr;          // null: none are made here
  std::shared_ptr<ChangeFeed> changes;  // of requests, for the pages
};

/// Who asks, verified.
struct Caller {
  op::Principal who;
  access::LivePtr live;     // null: a token of the provider
  bool by_cookie = false;   // a browser
  std::string token;        // of the cookie, to end it
  std::string groups_note;  // why not all groups are known; empty if they are, or nobody kept it
};

/// One request on its way through a handler. Lives on the connection's shard.
struct Visit {
  Parts& parts;
  net::HttpExchange& exchange;
  Form query;
  std::vector<std::pair<std::string_view, std::string>>
      path;                      // ":id" of the route → what stood there
  std::optional<Caller> caller;  // set where the route needs one

  const net::HttpRequest& request() const { return exchange.request(); }
  const op::Principal& who() const { return caller->who; }
  /// Whether the caller has one of the roles, and has signed in as it wants; else mfa_required, or
  /// policy_default_deny with `refusal`.
  Result<> HasRole(std::initializer_list<std::string_view> roles, const char* refusal) const;
  /// The part of the path that the route calls `:name`.
  std::string Param(std::string_view name) const {
    for (const auto& [n, value] : path) {
      if (n == name) return value;
    }
    return {};
  }
};

}  // namespace sallyport::api
