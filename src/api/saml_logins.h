#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "api/login_provider.h"
#include "base/clock.h"
#include "base/task.h"
#include "op/session.h"
#include "saml/signer.h"
#include "saml/verifier.h"

namespace sallyport::api {

class Logins;

/// What logins by SAML need beside Logins: metadata that was read, answers on their way from the
/// provider's form to the browser's own request, and assertions that have signed somebody in. In
/// memory and bounded; thread-safe. Nothing blocks a shard: checks run on the threads of Logins.
class SamlLogins {
 public:
  /// `signer`: our key; null: nothing is signed.
  SamlLogins(Logins& logins, saml::Verifier verifier, std::shared_ptr<const saml::Signer> signer,
             const Clock& clock);
  ~SamlLogins();
  SamlLogins(const SamlLogins&) = delete;

  /// The provider's metadata as the file says now: a file that was replaced counts for the next
  /// login, one that cannot be used leaves the last good one in force. identity_provider_down:
  /// there is none.
  Task<saml::Metadata> Read(const LoginProvider& provider);

  /// Keeps what the provider's form has posted, until the browser asks in its own name. The oldest
  /// goes when there are too many.
  void Hold(std::string_view state, std::string response);
  /// What was kept for this state, once; empty: nothing.
  std::string Collect(std::string_view state);

  /// Errors as saml::Verifier::Check, and state_invalid.
  Task<saml::Assertion> Check(std::string xml, saml::Expected expected);

  const saml::Signer* signer() const { return signer_.get(); }
  /// Errors as saml::Verifier::CheckLogout.
  Task<saml::Logout> CheckLogout(std::string message, saml::LogoutExpected expected);
  /// A provider's request to sign somebody out, once: state_invalid.
  Result<> TakeMessage(std::string_view issuer, std::string_view id);
  /// A request of ours to sign somebody out there, and whether an answer is one to such, once.
  void BeginLogout(std::string_view id);
  bool TakeLogout(std::string_view id);
  /// How the provider has named who signed in: what a request to sign them out has to repeat.
  void Remember(const op::Principal& who, const saml::NameId& name,
                const std::string& session_index);
  /// The name and the SessionIndex; nullopt: forgotten.
  std::optional<std::pair<saml::NameId, std::string>> NameOf(const op::Principal& who);

 private:
  struct Shared;  // outlives those who have stopped waiting
  std::shared_ptr<Shared> shared_;
  Logins& logins_;
  const std::shared_ptr<const saml::Signer> signer_;
};

}  // namespace sallyport::api
