#include "approval/duties.h"

#include <algorithm>

namespace sallyport::approval {
namespace {

std::string Account(const op::Principal& who) { return who.issuer + "|" + who.subject; }

/// Lower case and single spaces, for comparing display names.
std::string Folded(std::string_view name) {
  std::string out;
  for (const char c : name) {
    if (c == ' ' || c == '\t') {
      if (!out.empty() && out.back() != ' ') out += ' ';
    } else {
      out += c >= 'A' && c <= 'Z' ? char(c + 32) : c;
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

bool Owns(std::string_view owner, const op::Principal& voter, const Persons& persons) {
  if (owner.empty()) return false;
  if (Names(owner, voter)) return true;
  if (!owner.starts_with("user:")) return false;
  const std::string_view name = owner.substr(5);
  if (Folded(name) == Folded(voter.name)) return true;
  const Persons::Person* person = persons.Of(voter);
  if (person == nullptr) return false;
  return person->name == name ||
         std::ranges::any_of(person->accounts,
                             [&](std::string_view account) {
                               return account == name ||
                                      account.substr(account.rfind('|') + 1) == name;
                             }) ||
         std::ranges::any_of(person->saml, [&](std::string_view account) {
           return Folded(account.substr(account.find('|') + 1)) == Folded(name);
         });
}

}  // namespace

Persons::Persons(std::vector<Person> persons) : persons_(std::move(persons)) {
  for (size_t i = 0; i < persons_.size(); ++i) {
    for (const std::string& account : persons_[i].accounts) by_account_.emplace(account, i);
    for (const std::string& account : persons_[i].saml) by_saml_.emplace(Folded(account), i);
  }
}

const Persons::Person* Persons::Of(const op::Principal& who) const {
  if (!by_saml_.empty()) {  // names of providers are unique, of whatever kind they are
    const auto saml = by_saml_.find(Folded(who.provider + "|" + who.subject));
    if (saml != by_saml_.end()) return &persons_[saml->second];
  }
  if (by_account_.empty()) return nullptr;
  const auto at = by_account_.find(Account(who));
  return at == by_account_.end() ? nullptr : &persons_[at->second];
}

std::string_view ObjectionName(Objection objection) {
  switch (objection) {
    case Objection::not_a_person:
      return "not-a-person";
    case Objection::groups_incomplete:
      return "groups-incomplete";
    case Objection::requester:
      return "requester";
    case Objection::same_person:
      return "same-person";
    case Objection::agent_owner:
      return "agent-owner";
    case Objection::not_an_approver:
      return "not-an-approver";
    case Objection::joined_late:
      return "joined-late";
    case Objection::voted:
      return "voted";
  }
  return "not-an-approver";
}

std::string_view Explain(Objection objection) {
  switch (objection) {
    case Objection::not_a_person:
      return "Only people decide, not agents or workloads.";
    case Objection::groups_incomplete:
      return "Your identity provider cut your list of groups, so your part in this is not known.";
    case Objection::requester:
      return "You asked for this: somebody else has to decide.";
    case Objection::same_person:
      return "Another account of yours asked for this: somebody else has to decide.";
    case Objection::agent_owner:
      return "You answer for the agent that asks: somebody else has to decide.";
    case Objection::not_an_approver:
      return "You are not among the approvers of this request.";
    case Objection::joined_late:
      return "You became an approver after this was asked: somebody else has to decide.";
    case Objection::voted:
      return "You have decided about this already.";
  }
  return "You may not decide about this.";
}

bool SamePerson(const op::Principal& a, const op::Principal& b, const Persons& persons) {
  if (a.issuer == b.issuer && a.subject == b.subject) return true;
  const Persons::Person* person = persons.Of(a);
  if (person != nullptr && person == persons.Of(b)) return true;
  const std::string name = Folded(a.name);
  return !name.empty() && name == Folded(b.name);
}

bool Names(std::string_view selector, const op::Principal& who) {
  if (selector.starts_with("group:"))
    return std::ranges::find(who.groups, selector.substr(6)) != who.groups.end();
  if (!selector.starts_with("user:")) return false;
  const std::string_view name = selector.substr(5);
  return !name.empty() && (name == who.name || name == who.subject || name == Account(who));
}

std::optional<Objection> MayNotDecide(const Request& request, const op::Principal& voter,
                                      const Persons& persons, const Known& known) {
  if (!voter.agent.empty()) return Objection::not_a_person;
  if (!voter.groups_complete) return Objection::groups_incomplete;
  const op::Principal& asker = request.requester;
  if (voter.issuer == asker.issuer && voter.subject == asker.subject) return Objection::requester;
  if (SamePerson(voter, asker, persons)) return Objection::same_person;
  if (Owns(asker.owner, voter, persons)) return Objection::agent_owner;

  bool named = false, in_time = false;
  const bool known_before = known.person != 0 && known.person <= request.created;
  for (const std::string& selector : request.approvers) {
    if (!Names(selector, voter)) continue;
    named = true;
    if (!selector.starts_with("group:") || !known_before) {
      in_time = true;
      continue;
    }
    const auto group = known.groups.find(std::string_view(selector).substr(6));
    if (group != known.groups.end() && group->second <= request.created) in_time = true;
  }
  if (!named) return Objection::not_an_approver;
  if (!in_time) return Objection::joined_late;
  for (const Vote& vote : request.votes) {
    if (SamePerson(vote.voter, voter, persons)) return Objection::voted;
  }
  return std::nullopt;
}

}  // namespace sallyport::approval
