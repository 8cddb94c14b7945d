#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "api/login_provider.h"
#include "api/person_poll.h"
#include "api/router.h"
#include "api/signals.h"
#include "api/ssf_poll.h"
#include "api/upstream_links.h"
#include "gate/refusals.h"
#include "identity/offboarding.h"
#include "net/origin_check.h"

namespace sallyport::approval {
struct Request;
}

namespace sallyport::saml {
class Signer;
}

namespace sallyport::api {

class OauthServer;

/// What the API is built of. References must outlive it.
struct Options {
  gate::Gate& gate;
  access::Sessions& sessions;
  identity::TokenVerifier& verifier;
  const Clock& clock;
  std::string public_url;
  std::vector<std::string> allowed_hosts, allowed_origins;
  std::vector<LoginProvider> logins;
  std::function<bool(const op::Principal&, std::string_view role)> has_role;
  std::function<Result<>(const op::Principal&, std::string_view role)> strong;  // Parts
  std::string acr_values;
  /// Makes a person's words fit for being kept and shown (mask::Seal).
  std::function<op::Payload(std::string_view)> mask;
  approval::Desk* desk = nullptr;
  approval::Passkeys* passkeys = nullptr;
  const credential::IssuerKeys* issuer_keys = nullptr;
  std::shared_ptr<const saml::Signer> saml_signer;  // null: no provider by SAML
  /// What providers tell of people that leave: who may, and what was taken already.
  std::vector<SignalSource> signals;
  identity::Transmitters* transmitters = nullptr;
  access::Replays* replays = nullptr;
  std::vector<SsfPoll::Options> event_polls;
  std::vector<PersonPollSource> person_polls;
  access::KeptGrants* grants = nullptr;  // null: nobody is asked about
  /// How long access may go on after somebody has left, by provider.
  std::vector<identity::Offboarding> offboarding;
  std::map<std::string, std::string> groups_from;  // provider: the claim or attribute they stand in
  std::shared_ptr<OauthServer> oauth = nullptr;    // null: it is off
  std::shared_ptr<review::Desk> reviews;           // of the days, which people sign
  std::vector<UpstreamLink> upstream_links;        // connections with people's own accounts
};

/// Pages and API of the gateway: every path of the https listener that is not of the MCP front-end
/// (Takes). docs/api.md is the reference.
///
/// Every answer carries the security headers; every request that changes something and shows a
/// browser's cookie has to come from the gateway's own pages.
class Api {
 public:
  explicit Api(Options options);
  ~Api();

  /// Ends what still talks to a provider; before the shards stop.
  void Stop();
  /// Begins to ask providers of people that leave; once the shards run.
  void Start(boost::asio::any_io_executor executor);

  /// Whether a path is ours to answer.
  static bool Takes(std::string_view path);
  /// Answers one exchange, on the shard it arrived at.
  boost::asio::awaitable<void> Handle(net::HttpExchange& exchange);
  /// A request has changed: the pages that look at it hear of it. Thread-safe.
  void Tell(const approval::Request& request);
  /// Other hosts and origins than at the start (Options). Thread-safe.
  void SetOrigins(const std::vector<std::string>& hosts, const std::vector<std::string>& origins);
  /// Ends the streams of all pages: the gateway goes down. Thread-safe.
  void EndStreams();

 private:
  boost::asio::awaitable<Reply> Answer(net::HttpExchange& exchange);
  Task<Caller> Identify(const net::HttpRequest& request);
  Task<Caller> FromBearer(const net::HttpRequest& request);
  Result<> CheckOwnPage(const net::HttpRequest& request) const;
  void Record(op::EventType type, const net::HttpRequest& request, const Error& error);

  const Router router_;
  const net::OriginCheck origins_;                                    // our own pages
  std::atomic<std::shared_ptr<const net::OriginCheck>> web_origins_;  // and listed ones: Route::web
  gate::Refusals refusals_;
  std::unique_ptr<Logins> logins_;
  std::unique_ptr<DeviceLogins> devices_;
  std::unique_ptr<Exchanged> exchanged_;
  std::unique_ptr<SamlLogins> saml_;
  Workers workers_{4};
  Signals signals_;
  std::vector<std::unique_ptr<SsfPoll>> event_polls_;
  std::unique_ptr<PersonPoll> person_poll_;
  std::shared_ptr<OauthServer> oauth_;
  std::unique_ptr<UpstreamLinks> upstream_links_;
  const std::shared_ptr<review::Desk> reviews_;
  Parts parts_;
};

}  // namespace sallyport::api
