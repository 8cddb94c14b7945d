#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "base/task.h"
#include "state/database.h"

namespace sallyport::state {

/// The one thread that touches the Database. Work that is waiting when it gets to its turn goes
/// into one transaction, so that many commits share one fsync. Thread-safe.
///
/// Full, locked and damaged are all state_unavailable for those who wait, and healthy() is false
/// until work succeeds again: what needs the state is refused, everything else goes on.
class Writer {
 public:
  /// Runs on the writer's thread inside a transaction; it may run more than once and must not keep
  /// the Database. An error undoes what it did, and only that.
  using Work = std::function<Result<>(Database&)>;

  /// A failed `database` makes a Writer whose every commit fails with that error.
  explicit Writer(Result<std::unique_ptr<Database>> database);
  ~Writer();  // Close()
  Writer(const Writer&) = delete;

  /// Completes when `work` is durable. Resumes on the caller's executor; not cancelled by anything.
  /// The writer must be closed before that executor's context is destroyed.
  Task<> Commit(Work work);
  /// The same for a thread that may block: start-up and tests.
  Result<> CommitBlocking(Work work);
  /// For work that nobody waits for. It is tried again, about once a second, until it succeeds or
  /// fails for another reason than the state's. False when 65,536 are waiting: then it is not done.
  bool Enqueue(Work work);

  bool healthy() const;
  std::string failure() const;  // empty while healthy

  /// Does what is queued, stops the thread. Later commits fail with state_unavailable.
  void Close();

 private:
  struct Impl;
  std::shared_ptr<Impl> impl_;
};

}  // namespace sallyport::state
