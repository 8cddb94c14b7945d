#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "export/spool.h"
#include "json/document.h"

namespace sallyport::exporting {

/// As OCSF numbers them.
enum class Severity : uint8_t {
  unknown = 0,
  informational = 1,
  low = 2,
  medium = 3,
  high = 4,
  critical = 5,
  fatal = 6
};

/// A person or program as an entry names it. Views the entry.
struct Person {
  std::string_view issuer, subject, name, provider, client, agent, owner, token_class;
  json::Value groups;

  explicit Person(json::Value who = {});
  explicit operator bool() const { return !subject.empty() || !name.empty() || !agent.empty(); }
  /// What people call them: the agent's name, the person's, or the subject.
  std::string_view label() const;
};

/// What formats say of an event, found in the entry, its session and its intent. Views all three:
/// valid as long as the Event. Texts that are not there are empty.
struct Facts {
  explicit Facts(const Event& event);

  // "call.denied"; "unreadable" where the entry cannot be read, "other" where it has no such name
  std::string_view event;
  Nanos at = 0;
  Severity severity = Severity::unknown;
  std::optional<bool> ok;  // nullopt: nothing succeeded or failed

  Person who;  // whose session it is, or whom it is about
  Person by;   // who decided, ended, removed; empty: the person themselves, or the gateway
  std::string_view by_name;
  std::string_view session_id, login;
  Nanos expires = 0;
  std::string_view address, client, front_end, protocol;
  std::string_view connection, method, resource, trace;
  std::string_view decision_id, verdict, policy_version, reason, approval_id, code, detail;
  std::string_view purpose;    // acc.why
  std::string_view limits;     // acc.lim
  std::string_view statement;  // SQL
  json::Value rules, masked, approval, unmask, access;
  json::Value arguments;  // of a call, or the rest of a request: JSON
  bool request_cut = false;
  std::optional<int64_t> session_index, operation, intent, duration_us, count;

  bool sql() const { return front_end == "postgres"; }
  bool call() const { return event.starts_with("call."); }
};

/// "origin:index": what a receiver knows a repetition by.
std::string UidOf(const Event& event);

/// One line about it for people: "call.denied support-tools refund_order: rule-deny".
std::string MessageOf(const Facts& facts);

/// Makes one line out of JSON: line ends between its tokens become spaces, and characters that some
/// receivers take for the end of a line (DEL, NEL, U+2028, U+2029) are escaped. The value stays.
void KeepOneLine(std::string& json);

/// At most `limit` bytes, not ending inside a UTF-8 character.
std::string_view CutText(std::string_view text, size_t limit);

}  // namespace sallyport::exporting
