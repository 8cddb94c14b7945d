#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/schema.h"
#include "ledger/entry.h"
#include "op/decision.h"
#include "op/session.h"

namespace sallyport::config {

/// Who called, as the entry of the session says. Shared by all sessions that say the same.
struct RecordedCaller {
  uint32_t id = 0;
  op::Principal who;  // with the limits of the session of its own
  bool postgres = false;
  bool groups_cut = false;   // too many to be recorded: they are not known
  std::string_view unknown;  // why it cannot be judged what this caller may do; empty: it can
};

/// One operation out of the log: views into its entry.
struct RecordedCall {
  uint64_t index = 0;
  Nanos at = 0;
  const RecordedCaller* caller = nullptr;
  std::string_view connection, method, resource, policy_version;
  op::Verdict verdict = op::Verdict::deny;
  std::string_view reason;  // of a denial
  json::Value rules;        // ids of the rules that decided
  json::Value request;      // what was recorded of it
  json::Value masked;       // where it was masked
  json::Value unmask;       // what was asked for in clear
};

/// Reads operations out of a log, entry by entry from its beginning: later entries name their
/// session by an index.
class RecordedCalls {
 public:
  explicit RecordedCalls(const Root& root) : root_(root) {}

  /// nullopt: an entry that is no operation (call.intent, call.denied), or not read because it lies
  /// outside of [from, to). What is returned views `bytes` and is valid until the next call.
  std::optional<RecordedCall> Take(uint64_t index, std::string_view bytes, Nanos from, Nanos to);

 private:
  void Opened(uint64_t index, json::Value root);
  void Limited(json::Value access);
  op::Principal PrincipalOf(json::Value who, std::string_view& unknown) const;

  const Root& root_;
  ledger::Entry entry_;
  std::unordered_map<uint64_t, const RecordedCaller*> sessions_;
  std::map<std::string, std::unique_ptr<RecordedCaller>, std::less<>> callers_;
  std::map<std::string, std::string, std::less<>> limits_;  // by session id, as they were written
};

}  // namespace sallyport::config
