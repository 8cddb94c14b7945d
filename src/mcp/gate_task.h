#pragma once

#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "mcp/to_wire.h"
#include "mcp/upstream.h"
#include "op/decision.h"

namespace sallyport::mcp {

struct Call;

/// A call that was answered with a task of the gateway because it needs an approval: the extension
/// io.modelcontextprotocol/tasks of 2026-07-28, and the experimental tasks of 2025-11-25. The id is
/// sealed and names the request for approval, so it is good after a restart too; what waits is the
/// request at the desk. When it is approved the stored arguments run, once. The answer is kept in
/// memory: after a restart a call that had run is told as failed, never run again.
class GateTask {
 public:
  enum class Status : uint8_t { working, completed, failed, cancelled };
  struct View {
    Status status = Status::working;
    std::string message;  // for people
    std::string json;     // the result, or the error object, of an ended one
    Nanos updated = 0;
  };

  explicit GateTask(Nanos now) { view_.updated = now; }

  View view() const {
    const std::lock_guard lock(mutex_);
    return view_;
  }
  /// The first end counts.
  void End(Status status, std::string json, Nanos now) {
    const std::lock_guard lock(mutex_);
    if (view_.status != Status::working) return;
    view_ = {status, {}, std::move(json), now};
  }
  /// Cancelled, if `take_back` succeeds. What its success ends elsewhere (the run that waits for
  /// the same request, on another shard) comes second.
  void Cancel(const std::function<bool()>& take_back, Nanos now) {
    const std::lock_guard lock(mutex_);
    if (view_.status == Status::working && take_back()) view_ = {Status::cancelled, {}, {}, now};
  }
  void Say(std::string message, Nanos now) {
    const std::lock_guard lock(mutex_);
    if (view_.status == Status::working) view_.message = std::move(message), view_.updated = now;
  }

 private:
  mutable std::mutex mutex_;
  View view_;
};

/// The tasks that this process knows, by the id of their approval. Thread-safe.
class GateTasks {
 public:
  /// The task, and whether it is new: then the caller runs it.
  std::pair<std::shared_ptr<GateTask>, bool> Get(const std::string& approval, Nanos now);

 private:
  std::mutex mutex_;
  std::map<std::string, std::shared_ptr<GateTask>> tasks_;
};

/// What a sealed task id of the gateway says.
struct GateTaskId {
  std::string tool;
  std::string approval;
  Nanos created = 0;
  std::string sealed;  // as the client has it
};

/// The answer to a tools/call that has to wait; the task is under way then.
WireAnswer MakeGateTask(Call& call, const op::Refusal& refusal);
/// The id that the client shows, if it is one of ours and this caller's.
std::optional<GateTaskId> OpenGateTask(const Call& call, std::string_view task_id);
/// True if the client of 2025-11-25 asked for a task and the tool may be called without one.
bool AsksForTask(const Call& call);
/// The answer to tasks/get, tasks/update, tasks/cancel or tasks/result of such a task.
/// task_unknown: it ended long ago, or the caller may not know of the tool any more.
Task<UpstreamAnswer> GateTaskAnswer(Call& call);

}  // namespace sallyport::mcp
