#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "base/clock.h"
#include "credential/credential.h"
#include "credential/link_planner.h"
#include "credential/renewal.h"
#include "credential/user_links.h"

namespace sallyport::credential {

/// Something for the log about a person's account at an upstream.
struct LinkEvent {
  enum class Kind : uint8_t { linked, unlinked, refresh_failed };
  Kind kind = Kind::linked;
  std::string connection;
  const op::Principal* who = nullptr;
  std::string by;       // "person", "provider", "gateway", "configuration", "revocation"
  std::string address;  // of the browser; empty: there is none
  bool ok = true;
  Errc reason = Errc::internal;  // where not ok
  std::string detail;            // constant text, names and statuses; never outside bytes
  std::string server;            // the issuer, or the origin of the token endpoint
};

/// A token of each person's own account of the upstream (RFC 6749 section 4.1), which they link
/// once in a browser: `Authorization: Bearer`. Nothing is sent for who has linked none:
/// upstream_link_needed, with the address of the page in the detail.
///
/// The person is (issuer, subject) of the caller: whatever acts for them uses their link, and a
/// link outlives their sessions. It ends when they unlink it, when the provider does not renew it
/// any more, and with their access (Forget). Tokens are renewed before their end, by one request
/// at a time; a new refresh token is durable before the old one is given up.
///
/// Thread-safe. What says so blocks, for a thread of its own. `clock` must outlive it.
class UserOauth final : public Credential {
 public:
  struct Options {
    std::string connection;
    UserOAuth config;
    std::string upstream;    // the URL that is called
    std::string public_url;  // of the gateway, without a slash at its end
    std::shared_ptr<UserLinks> links;
    std::function<std::string(const op::Principal&)> mark;  // stands for a person in an address
    /// Into the log; before what is recorded counts.
    std::function<Result<>(const LinkEvent&)> record;
    Fetch fetch;
    const Clock& clock;
  };
  explicit UserOauth(Options options);

  Task<MaterialPtr> Apply(const Outgoing& request, net::Headers& headers) override;
  bool Refused(const Outgoing& request, const MaterialPtr& used, int status,
               const net::Headers& answer) override;
  std::optional<Error> Explain(const Outgoing& request, const MaterialPtr& used, int status,
                               const net::Headers& answer) override;
  std::string LinkOf(const op::Principal& who) const override;
  void Forget(const std::function<bool(const op::Principal&)>& whom) override;

  const std::string& connection() const { return options_.connection; }
  const std::string& upstream() const { return options_.upstream; }
  const std::string& redirect_uri() const { return redirect_uri_; }
  /// Of the gateway's client metadata document for this connection; empty: it has none.
  const std::string& document_url() const { return document_url_; }
  /// The page at which `who`, and nobody else, links their account.
  std::string PageFor(const op::Principal& who) const;
  /// Whether `mark` of an address is that of `who`.
  bool IsMarkOf(std::string_view mark, const op::Principal& who) const;

  struct Status {
    bool linked = false;
    Nanos since = 0;
    std::string server, scope;
    std::string wanted;  // scopes that were missing at the last call
  };
  Status StatusOf(const op::Principal& who) const;
  /// What linking would ask for, and where. Blocks.
  Result<LinkPlan> PlanFor(const op::Principal& who, std::stop_token stop);

  /// Whose browser it is: both have to be the same at the end.
  struct Browser {
    op::Principal who;
    std::string session;  // "u_…"
    std::string secret;   // of its cookie
    std::string address;
  };
  /// Where to send the browser. `issuer` is what the person was shown: state_invalid if another
  /// server would be asked now. Blocks.
  Result<std::string> Begin(const Browser& browser, const std::string& issuer,
                            std::stop_token stop);
  /// What came back (RFC 6749 section 4.1.2, RFC 9207).
  struct Answer {
    std::string state;
    std::optional<std::string> code, iss, error;
    bool twice = false;  // a parameter occurs twice
  };
  /// Redeems the code and keeps the link; all that fails is recorded. state_invalid (of another
  /// browser it is not used up), token_issuer_unknown, login_denied, upstream_credential_failed,
  /// session_ended (access has ended meanwhile), state_unavailable. Blocks.
  Result<> Finish(const Browser& browser, const Answer& answer, std::stop_token stop);
  /// Forgets what is kept, and tells the server. False: nothing was linked. Blocks.
  Result<bool> Unlink(const Browser& browser, std::stop_token stop);

 private:
  using Person = UserLinks::Person;
  struct Pending {
    Person person;
    std::string session, browser;  // digest of the cookie
    std::string verifier, scope, resource;
    AuthServer server;
    UserClient client;
    Nanos until = 0;
    bool taken = false;  // the code is being redeemed
  };
  static Person PersonOf(const op::Principal& who) { return {who.issuer, who.subject}; }
  static std::string KeyOf(const Person& person) { return person.issuer + '\n' + person.subject; }
  /// Whether a link is for the upstream, servers and client that are configured now: a token must
  /// not go to another upstream, nor a secret to another server, because the configuration changed.
  bool StillMeant(const UserLink& link) const;
  Error LinkNeeded(const op::Principal& who) const;
  Renewal::Obtain ObtainFor(const op::Principal& who);
  Result<Material> Obtain(const op::Principal& who, std::stop_token stop);
  Result<Material> Refresh(const op::Principal& who, UserLink link, std::stop_token stop);
  Result<Pending> Take(const Browser& browser, const std::string& state);
  Result<UserLink> Redeem(const Pending& pending, const Answer& answer, std::stop_token stop);
  Result<> Keep(const Browser& browser, const std::string& state, const Pending& pending,
                UserLink link);
  bool MayForce(const Person& person);  // with mutex_
  Result<> Record(LinkEvent::Kind kind, const op::Principal& who, std::string by,
                  const std::string& server, const Error* error = nullptr,
                  std::string address = {}) const;

  const Options options_;
  const std::string redirect_uri_, document_url_, bound_;
  LinkPlanner planner_;
  mutable std::mutex mutex_;
  std::map<std::string, Pending, std::less<>> pending_;  // by the digest of the state
  std::map<Person, std::string> wanted_;                 // scopes that were missing
  struct Forced {
    uint32_t times = 0;
    Nanos since = 0;
    std::string link;  // counted last
  };
  std::map<Person, Forced> forced_;
  std::map<Person, MaterialPtr> refused_;  // what the upstream did not take
  Renewal tokens_;                         // last: its threads use the others
};

}  // namespace sallyport::credential
