#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <tuple>
#include <unordered_map>

#include "base/clock.h"
#include "json/document.h"
#include "ledger/entry.h"
#include "ledger/tree.h"

namespace sallyport::evidence_pack {

/// One account, as entries name it: (issuer, subject, agent). Lives as long as the History.
struct Person {
  std::string issuer, subject, name, agent, owner, client, token_class, provider;
  std::set<std::string> groups;  // all that were ever told
  bool groups_partial = false;

  /// What people call it.
  const std::string& label() const {
    return !agent.empty() ? agent : !name.empty() ? name : subject;
  }
};

/// A stay at one connection, out of its auth.success entry.
struct Stay {
  const Person* who = nullptr;
  std::string id, address, connection, front_end;
};

/// What a statement does, by its words. Not by the catalog: what a function does inside is not
/// seen. `unread`: its text is not in the entry (too long: cut, or sealed apart), so it may do
/// anything.
enum class Statement : uint8_t { none, query, change, object, credential, copy, unread };

/// An operation between its intent and its end.
struct Call {
  uint64_t index = 0;
  ledger::Hash leaf{};
  Nanos at = 0;
  const Person* who = nullptr;
  std::string session, address, front_end, connection, method, resource, decision, rules, approval;
  Statement statement = Statement::none;
  std::string text;  // of a statement that is not a plain query, cut
};

/// One entry, with what it refers to. Valid during the visit.
struct Record {
  uint64_t index = 0;
  const ledger::Hash* leaf = nullptr;
  Nanos at = 0;
  bool inside = false;  // of the period; others are shown because later ones rest on them
  std::string_view event;
  json::Value root;
  const Stay* stay = nullptr;
  const Call* call = nullptr;  // of an intent or denial itself, and of what ends an intent

  std::string_view Text(std::string_view key) const { return root[key].string().value_or(""); }
  uint64_t Number(std::string_view key) const {
    const auto n = root[key].integer();
    return n && *n > 0 ? uint64_t(*n) : 0;
  }
  bool Is(std::string_view name) const { return event == name; }
  const Person* who() const {
    return call != nullptr && call->who != nullptr ? call->who
           : stay != nullptr                       ? stay->who
                                                   : nullptr;
  }
};

/// Goes through the entries of a log in order and hands them on with what they refer to. What it
/// keeps grows with people, open sessions and open calls, not with entries. Not thread-safe.
class History {
 public:
  using Visitor = std::function<void(const Record&)>;

  History(Nanos from, Nanos to, Visitor visit) : from_(from), to_(to), visit_(std::move(visit)) {}

  /// The next entry. What cannot be read is counted and passed over.
  void Add(uint64_t index, const ledger::Hash& leaf, std::string_view entry);
  /// Whom an entry's `who` object names; null if it names nobody.
  const Person* Whom(json::Value who);

  uint64_t unreadable() const { return unreadable_; }
  /// Operations that had not ended when the log did, by index.
  const std::map<uint64_t, Call>& open_calls() const { return calls_; }
  const std::deque<Person>& people() const { return people_; }

 private:
  void Open(uint64_t index, const json::Value& root);
  Call MakeCall(const Record& record) const;

  const Nanos from_, to_;
  const Visitor visit_;
  std::deque<Person> people_;
  std::map<std::tuple<std::string, std::string, std::string>, Person*, std::less<>> by_name_;
  std::unordered_map<uint64_t, Stay> stays_;
  std::map<uint64_t, Call> calls_;
  uint64_t unreadable_ = 0;
};

/// The strongest class that a word of `sql` says at the beginning of one of its statements;
/// comments and quoted texts are no words.
Statement ClassOf(std::string_view sql);

}  // namespace sallyport::evidence_pack
