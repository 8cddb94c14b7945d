#pragma once

#include <string>
#include <vector>

#include "access/digest.h"
#include "access/live.h"
#include "base/task.h"

namespace sallyport::access {

/// A session as it is kept.
struct Row {
  TokenDigest digest{};
  Live session;  // marks are not kept
  State state = State::active;
  Nanos worked_at = 0;
  Nanos ended_at = 0;  // 0: it has not
};

/// "Whoever this is has no right with a credential issued before `at`."
struct RevocationRow {
  std::string issuer, subject, sid;  // subject or sid
  Nanos at = 0;
  std::string by, why;
};

/// Where sessions and revocations outlive the process. Thread-safe.
class Store {
 public:
  struct Loaded {
    std::vector<Row> sessions;
    std::vector<RevocationRow> revocations;
  };
  struct Mark {
    std::string id;
    State state = State::active;
    Nanos worked_at = 0, ended_at = 0;
  };

  virtual ~Store() = default;
  virtual Result<Loaded> Load() = 0;
  /// Durable when they return; state_unavailable.
  virtual Task<> Put(Row row) = 0;
  virtual Task<> Put(RevocationRow row) = 0;
  virtual Task<> Put(std::vector<Mark> marks) = 0;
  /// What is lost when the process dies within some seconds, and nothing else is.
  virtual void Note(std::vector<Mark> marks) = 0;
  /// Forgets sessions, and revocations made before `before`.
  virtual void Forget(std::vector<std::string> sessions, Nanos before) = 0;
};

}  // namespace sallyport::access
