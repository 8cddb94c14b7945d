#include "mcp/gate_task.h"

#include <charconv>

#include "approval/desk.h"
#include "approval/vigil.h"
#include "mcp/call.h"
#include "mcp/call_hold.h"
#include "mcp/envelope.h"
#include "mcp/json_edit.h"
#include "mcp/request_binding.h"
#include "mcp/upstream_bridge.h"
#include "net/event.h"
#include "policy/rules.h"

namespace sallyport::mcp {
namespace {

constexpr Nanos kMillisecond = 1'000'000;
constexpr Nanos kLifetime = Nanos(7) * 24 * 3600 * 1'000'000'000;
constexpr int kPollMs = 2'000;
constexpr std::string_view kRelatedTask = "io.modelcontextprotocol/related-task";
constexpr size_t kKept = 2'000;
constexpr Nanos kKeptFor = Nanos(3600) * 1'000'000'000;

std::string BindingOf(const Call& call) {
  return "gate-" + TaskBinding(call.session->who, call.place.connection->name);
}

std::string Stamp(Nanos at) {  // milliseconds, as JavaScript writes them
  const std::string text = FormatUtc(at);
  return text.substr(0, 23) + 'Z';
}

std::string_view NameOf(GateTask::Status status) {
  switch (status) {
    case GateTask::Status::working:
      return "working";
    case GateTask::Status::completed:
      return "completed";
    case GateTask::Status::failed:
      return "failed";
    case GateTask::Status::cancelled:
      return "cancelled";
  }
  return "failed";
}

std::string Members(const GateTaskId& id, const GateTask::View& view, bool modern) {
  std::string out =
      R"("taskId":)" + json::Quote(id.sealed) + R"(,"status":")" +
      std::string(NameOf(view.status)) + R"(","createdAt":")" + Stamp(id.created) +
      R"(","lastUpdatedAt":")" + Stamp(view.updated) + (modern ? R"(","ttlMs":)" : R"(","ttl":)") +
      std::to_string(kKeptFor / kMillisecond) +
      (modern ? R"(,"pollIntervalMs":)" : R"(,"pollInterval":)") + std::to_string(kPollMs);
  if (!view.message.empty()) out += R"(,"statusMessage":)" + json::Quote(view.message);
  return out;
}

/// What a task runs with: everything that has to outlive the request it began with.
struct Run {
  Front& front;
  Place place;
  std::shared_ptr<const Settings> settings;
  MaskRules rules;
  std::shared_ptr<const op::Session> session;
  identity::VerifiedPtr credential;
  GateTaskId id;
  std::shared_ptr<GateTask> task;
};

WireContext ContextOf(const Run& run) {
  const ToolTablePtr table = run.place.connection->catalog.last();
  const Tool* tool = table ? table->Find(run.id.tool) : nullptr;
  return {.method = "tools/call",
          .name = run.id.tool,
          .modern = true,
          .output_schema = tool != nullptr && tool->definition.has_output_schema};
}

void End(Run& run, const WireAnswer& answer) {
  run.task->End(answer.error ? GateTask::Status::failed : GateTask::Status::completed, answer.json,
                run.front.options.clock.WallNow());
}

/// The stored call, as a request without any capability: nothing of it can ask back.
Result<std::shared_ptr<Call>> StoredCall(Run& run, const std::string& exact) {
  const auto stored = json::Document::Parse(exact, {.max_bytes = 64u << 20, .max_depth = 512});
  if (!stored) return std::unexpected(stored.error());
  auto in = std::make_shared<Incoming>();
  in->text = R"({"jsonrpc":"2.0","id":1,"method":"tools/call","params":{"name":)" +
             json::Quote(run.id.tool);
  if (const json::Value arguments = stored->root()["arguments"])
    in->text.append(R"(,"arguments":)").append(arguments.raw());
  in->text += R"(,"_meta":{")" + std::string(kMetaProtocolVersion) + R"(":")" +
              std::string(RevisionName(Revision::r2026_07_28)) + R"(",")" +
              std::string(kMetaClientCapabilities) + R"(":{}}}})";
  auto document = json::Document::Parse(in->text, {.max_bytes = 64u << 20, .max_depth = 512});
  if (!document) return std::unexpected(document.error());
  in->document = std::move(*document);
  auto call = std::make_shared<Call>(run.front, run.place);
  SALLYPORT_TRY(call->message, ReadClientMessage(in->document.root()));
  call->in = std::move(in);
  call->settings = run.settings;
  call->rules = run.rules;
  call->session = run.session;
  call->credential = run.credential;
  call->begun_at = run.front.options.clock.WallNow();
  call->can = "{}";
  call->revision = Revision::r2026_07_28;
  call->reply_id = "1";
  call->verb = op::Verb::tool_call;
  call->background = true;
  call->wants_log = false;
  call->peer = run.place.upstream->Open({.revision = Revision::r2026_07_28, .caller = run.session});
  return call;
}

boost::asio::awaitable<void> RunStored(Run& run, approval::Desk& desk) {
  const WireContext context = ContextOf(run);
  const auto exact = co_await desk.Exact(run.id.approval);
  if (!exact) co_return End(run, ToWire(exact.error(), context));
  auto call = StoredCall(run, *exact);
  if (!call) co_return End(run, ToWire(call.error(), context));
  (*call)->out = std::make_shared<CallStream>(co_await net::ThisExecutor(), 0);
  (*call)->out->Abandon();  // nobody listens before the end
  run.task->Say("Approved; the call is running.", run.front.options.clock.WallNow());
  const Running running((*call)->front.here(), *call);  // so that a kill finds it
  const auto work = EnterCall(**call);
  if (!work) co_return End(run, ToWire(work.error(), context));
  const WireAnswer answer = co_await AnswerCall(**call);
  (*call)->peer->Close();
  End(run, answer);
}

boost::asio::awaitable<void> Conduct(Run run) {
  approval::Desk& desk = *run.front.options.gate.desk();
  const auto executor = co_await net::ThisExecutor();
  approval::Vigil vigil(executor, desk, run.id.approval);
  while (!vigil.outcome()) co_await vigil.Rest(std::chrono::hours(1));
  const auto outcome = *vigil.outcome();
  const auto request = desk.Find(run.id.approval);
  op::Refusal refusal;
  refusal.approval_id = run.id.approval;
  if (request) refusal.decision_id = request->decision_id;
  if (!outcome || !request) {
    co_return End(run, ToWire(outcome ? Error(Errc::task_unknown) : outcome.error(), ContextOf(run),
                              refusal.decision_id));
  }
  if (*outcome == approval::State::approved) co_return co_await RunStored(run, desk);
  if (*outcome == approval::State::redeemed) {
    WireAnswer lost = ToWire(Error(Errc::upstream_closed), {});
    lost.json = ErrorObject(kInternalError,
                            "The call was approved and sent once; its answer is no longer known.");
    co_return End(run, lost);
  }
  End(run, ClosedAnswer(desk, std::move(refusal), ContextOf(run)));
}

/// tasks/result of 2025-11-25: what the call itself would have been answered with, once it is
/// there.
Task<UpstreamAnswer> ResultOf(Call& call, const GateTask& task) {
  const auto deadline = std::chrono::steady_clock::now() + call.settings->limits.approval_hold;
  while (task.view().status == GateTask::Status::working) {
    if (call.cancelled) co_return Fail(Errc::cancelled);
    if (std::chrono::steady_clock::now() >= deadline) co_return Fail(Errc::upstream_timeout);
    SALLYPORT_CO_CHECK(co_await net::Sleep(std::chrono::milliseconds(200)));
  }
  const GateTask::View view = task.view();
  if (view.status == GateTask::Status::cancelled) co_return Fail(Errc::cancelled);
  if (view.status == GateTask::Status::failed) co_return UpstreamAnswer{true, view.json};
  const auto doc = json::Document::Parse(view.json, {.max_bytes = 64u << 20, .max_depth = 512});
  if (!doc) co_return Fail(Errc::internal);
  JsonEdit edit(view.json);
  const std::string related = R"({"taskId":)" + json::Quote(call.gate_task->sealed) + '}';
  const json::Value meta = doc->root()["_meta"];
  if (meta.is(json::Kind::object))
    SetMember(edit, meta, kRelatedTask, related);
  else
    SetMember(edit, doc->root(), "_meta",
              R"({")" + std::string(kRelatedTask) + R"(":)" + related + '}');
  call.sealed.emplace_back(Pointer("/_meta", kRelatedTask) + "/taskId");
  co_return UpstreamAnswer{false, WithoutModernMembers(edit.Apply())};
}

std::shared_ptr<GateTask> TaskOf(Call& call, const GateTaskId& id) {
  const Nanos now = call.front.options.clock.WallNow();
  auto [task, fresh] = call.front.gate_tasks.Get(id.approval, now);
  if (fresh) {
    net::Spawn(call.front.here().executor,
               Conduct(Run{call.front, call.place, call.settings, call.rules, call.session,
                           call.credential, id, task}));
  }
  return task;
}

}  // namespace

std::pair<std::shared_ptr<GateTask>, bool> GateTasks::Get(const std::string& approval, Nanos now) {
  const std::lock_guard lock(mutex_);
  if (tasks_.size() > kKept) {
    std::erase_if(tasks_, [&](const auto& entry) {
      const GateTask::View view = entry.second->view();
      return view.status != GateTask::Status::working && view.updated + kKeptFor < now;
    });
  }
  std::shared_ptr<GateTask>& task = tasks_[approval];
  if (task) return {task, false};
  task = std::make_shared<GateTask>(now);
  return {task, true};
}

WireAnswer MakeGateTask(Call& call, const op::Refusal& refusal) {
  const Nanos now = call.front.options.clock.WallNow();
  GateTaskId id{.tool = std::string(call.name()),
                .approval = refusal.approval_id,
                .created = now,
                .sealed = {}};
  id.sealed = call.front.sealed->Seal(
      BindingOf(call), id.approval + '\n' + std::to_string(now) + '\n' + id.tool, now + kLifetime);
  const auto task = TaskOf(call, id);
  std::string text = "Waiting for an approval";
  if (!refusal.decision.approval.empty()) text += " by " + refusal.decision.approval;
  if (!refusal.approval_url.empty()) text += ": " + refusal.approval_url;
  task->Say(std::move(text), now);
  WireAnswer answer;
  answer.code = "held";
  const std::string members =
      Members(id, {.message = task->view().message, .json = {}, .updated = now}, call.modern());
  answer.json =
      call.modern() ? R"({"resultType":"task",)" + members + '}' : R"({"task":{)" + members + "}}";
  return answer;
}

std::optional<GateTaskId> OpenGateTask(const Call& call, std::string_view task_id) {
  const auto opened =
      call.front.sealed->Open(BindingOf(call), task_id, call.front.options.clock.WallNow());
  if (!opened) return std::nullopt;
  const size_t first = opened->find('\n');
  const size_t second = first == std::string::npos ? first : opened->find('\n', first + 1);
  if (second == std::string::npos) return std::nullopt;
  GateTaskId id{.tool = opened->substr(second + 1),
                .approval = opened->substr(0, first),
                .created = 0,
                .sealed = std::string(task_id)};
  (void)std::from_chars(opened->data() + first + 1, opened->data() + second, id.created);
  return id;
}

bool AsksForTask(const Call& call) {
  if (call.revision != Revision::r2025_11_25 || call.several ||
      call.message.method != "tools/call" || !call.message.params["task"].is(json::Kind::object))
    return false;
  const ToolTablePtr table = call.place.connection->catalog.last();
  const Tool* tool = table ? table->Find(call.name()) : nullptr;
  if (tool == nullptr) return false;
  const auto definition = json::Document::Parse(tool->json);
  return definition && definition->root()["execution"]["taskSupport"].string() != "required";
}

Task<UpstreamAnswer> GateTaskAnswer(Call& call) {
  const GateTaskId& id = *call.gate_task;
  const Place& place = call.place;
  approval::Desk* desk = call.front.options.gate.desk();
  if (desk == nullptr || !desk->Find(id.approval) ||
      !call.front.options.gate.rules()->Visible(call.session->who, place.connection->name,
                                                place.connection->labels, op::Verb::tool_call,
                                                id.tool)) {
    co_return Fail(Errc::task_unknown);
  }
  const auto task = TaskOf(call, id);
  const std::string type = call.modern() ? R"("resultType":"complete")" : "";
  if (call.message.method == "tasks/update") co_return UpstreamAnswer{false, '{' + type + '}'};
  if (call.message.method == "tasks/cancel") {
    // What runs already cannot be taken back from here; it ends by itself.
    const auto take_back = [&] {
      return desk->Withdraw(id.approval, call.session->who, "the task was cancelled").has_value();
    };
    task->Cancel(take_back, call.front.options.clock.WallNow());
    if (call.modern()) co_return UpstreamAnswer{false, '{' + type + '}'};
  }
  if (call.message.method == "tasks/result") co_return co_await ResultOf(call, *task);
  const GateTask::View view = task->view();
  std::string out = '{' + Members(id, view, call.modern());
  if (call.modern()) {
    out += ',' + type;
    if (view.status == GateTask::Status::completed) out += R"(,"result":)" + view.json;
    if (view.status == GateTask::Status::failed) out += R"(,"error":)" + view.json;
  }
  co_return UpstreamAnswer{false, out + '}'};
}

}  // namespace sallyport::mcp
