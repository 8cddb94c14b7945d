#pragma once

#include <functional>
#include <map>
#include <mutex>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "approval/passkey.h"
#include "approval/record.h"
#include "base/clock.h"
#include "base/task.h"
#include "op/session.h"
#include "state/writer.h"

namespace sallyport::approval {

/// The WebAuthn user handle of a person: a digest, so that an authenticator keeps no name of them.
std::string UserHandle(const op::Principal& who);

/// The passkeys of all people: in memory for reading, durable and recorded before they count.
///
/// Whoever has had a passkey needs one for ever (Needs): removing the last one takes the power to
/// approve away until another is registered, so that nobody gets past a passkey by removing it. A
/// removed credential is remembered and cannot be registered again.
/// Thread-safe; Tasks resume on the caller's executor.
class Passkeys {
 public:
  static constexpr size_t kPerPerson = 10;

  /// Brings the table up to date; before the Writer is made.
  static Result<> Migrate(state::Database& db);
  /// Loads what there is; blocks. If the state cannot be read, everything is state_unavailable, so
  /// that nobody seems to be without a passkey. `state`, `clock` must outlive it.
  /// `mask` makes a person's words fit for being written down.
  Passkeys(state::Writer& state, Recorder recorder, std::string_view public_url,
           std::function<op::Payload(std::string_view)> mask, const Clock& clock);

  /// config_invalid where public_url allows no passkeys.
  const Result<RelyingParty>& party() const { return party_; }
  /// state_unavailable where what is kept could not be read; who asks then must refuse.
  const Result<>& usable() const { return usable_; }

  std::vector<Passkey> Of(const op::Principal& who) const;
  /// Whether the approvals of this person count only with a passkey: who has one, or has had one.
  bool Needs(const op::Principal& who) const;

  /// A challenge for the next registration of this person; good for five minutes and one attempt.
  std::string Challenge(const op::Principal& who);
  /// Registers a passkey: passkey_invalid, limit_exceeded, state_unavailable, ledger_unavailable.
  Task<Passkey> Register(op::Principal who, std::string name, Registration registration);
  /// Takes a passkey of `owner` (issuer and subject count) away; what `by` said why is masked and
  /// recorded. From then on it confirms nothing, and a registration that `owner` has begun is over.
  /// Votes that it signed stay as they are. not_found: not, or no longer, a passkey of that person;
  /// request_too_large, state_unavailable, ledger_unavailable. Refusals are recorded too.
  Task<> Remove(op::Principal by, op::Principal owner, std::string id, std::string why);
  /// The proof (ProofJson) that this person's passkey signed this decision: passkey_invalid. A
  /// counter is taken in before the proof is given, so that it is given once.
  Task<std::string> Confirm(op::Principal who, std::string digest, bool approve,
                            Assertion assertion);

 private:
  using Person = std::pair<std::string, std::string>;  // issuer, subject
  struct Pending {
    std::string challenge;
    Nanos until = 0;
  };

  Result<> Load();
  Result<> TakeChallenge(const Person& person, std::string& challenge);

  Result<Passkey> TakeOut(const Person& person, std::string_view id);

  state::Writer& state_;
  const Recorder recorder_;
  const std::function<op::Payload(std::string_view)> mask_;
  const Result<RelyingParty> party_;
  const Clock& clock_;
  mutable std::mutex mutex_;
  std::map<Person, std::vector<Passkey>> keys_;
  std::set<Person> bound_;  // who has or has had one
  std::map<Person, Pending> pending_;
  Result<> usable_;  // last: Load() fills what stands above
};

}  // namespace sallyport::approval
