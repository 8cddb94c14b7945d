#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "approval/request.h"
#include "op/session.h"

namespace sallyport::approval {

/// Accounts that belong to one person (`identity.persons`). Immutable, thread-safe.
class Persons {
 public:
  struct Person {
    std::string name;
    std::vector<std::string> accounts;  // "issuer|subject"
    /// "provider|NameID" of SAML accounts: their issuer stands in metadata that may change.
    /// Compared without case, because providers repeat the NameID as it was typed.
    std::vector<std::string> saml = {};
  };
  Persons() = default;
  explicit Persons(std::vector<Person> persons);

  /// Null: the account is not linked to any other.
  const Person* Of(const op::Principal& who) const;

 private:
  std::vector<Person> persons_;
  std::map<std::string, size_t, std::less<>> by_account_, by_saml_;
};

/// Why somebody must not decide about a request.
enum class Objection : uint8_t {
  not_a_person,       // an agent or workload
  groups_incomplete,  // the provider cut the list: who is in and who is not cannot be told
  requester,          // the account that asks
  same_person,        // another account of who asks
  agent_owner,        // answers for the agent that asks
  not_an_approver,    // not in the flow's list, whatever other role
  joined_late,        // became an approver after the request was made
  voted,              // has decided already, with this or another account
};
std::string_view ObjectionName(Objection objection);
/// One sentence for the person.
std::string_view Explain(Objection objection);

/// Since when the gate knows a person and their membership in a group.
struct Known {
  Nanos person = 0;                                  // first seen; 0: never before
  std::map<std::string, Nanos, std::less<>> groups;  // of those that matter
};

/// True if both accounts are one person: the same account, linked accounts, or the same display
/// name (compared without case and outer white space). A wrong yes costs another approver; a wrong
/// no would be a self-approval.
bool SamePerson(const op::Principal& a, const op::Principal& b, const Persons& persons);

/// Whether `selector` ("group:x", "user:x") names `who`, as the `who` of a rule does.
bool Names(std::string_view selector, const op::Principal& who);

/// The one place that says who may not decide; pure. nullopt: may.
std::optional<Objection> MayNotDecide(const Request& request, const op::Principal& voter,
                                      const Persons& persons, const Known& known);

}  // namespace sallyport::approval
