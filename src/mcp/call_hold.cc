#include "mcp/call_hold.h"

#include <algorithm>
#include <cstdio>

#include "approval/desk.h"
#include "approval/vigil.h"
#include "mcp/gate_task.h"
#include "mcp/request_binding.h"
#include "net/event.h"

namespace sallyport::mcp {
namespace {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

constexpr milliseconds kProgressEvery{5'000};
constexpr Nanos kStateLifetime = Nanos(24) * 3600 * 1'000'000'000;
/// The TypeScript SDK gives up after ten rounds of input_required.
constexpr uint32_t kMostRounds = 8;

bool MayAskForInput(const Call& call) {
  const std::string_view method = call.message.method;
  return call.modern() && !call.several &&
         (method == "tools/call" || method == "prompts/get" || method == "resources/read") &&
         // What belongs to a question of the upstream must come back with the next request.
         !call.message.params["requestState"] && !call.message.params["inputResponses"];
}

bool Declares(const Call& call, std::string_view group, std::string_view name) {
  const auto can = json::Document::Parse(call.can);
  return can && can->root()[group][name].is(json::Kind::object);
}

std::string Waiting(const op::Refusal& refusal) {
  std::string text = "Waiting for an approval";
  if (!refusal.decision.approval.empty()) text += " by " + refusal.decision.approval;
  if (!refusal.approval_url.empty()) text += ": " + refusal.approval_url;
  return text;
}

/// The client is to send the same request again with this state.
WireAnswer AskAgain(const Call& call, const op::Refusal& refusal, std::string_view requests) {
  const std::string state = call.front.sealed->Seal(
      RequestBinding(call.session->who, call.place.connection->name, call.message),
      "h" + std::to_string(call.hold_round + 1) + ":" + refusal.approval_id,
      call.front.options.clock.WallNow() + kStateLifetime);
  WireAnswer answer;
  answer.code = "held";
  answer.json = R"({"resultType":"input_required",)";
  if (!requests.empty()) answer.json.append(R"("inputRequests":)").append(requests) += ',';
  answer.json += R"("requestState":)" + json::Quote(state) + '}';
  return answer;
}

std::string UrlParams(const op::Refusal& refusal, bool modern) {
  std::string out = R"({"mode":"url","message":)" +
                    json::Quote("This call needs an approval. The page shows who decides.") +
                    R"(,"url":)" + json::Quote(refusal.approval_url);
  if (!modern) out += R"(,"elicitationId":)" + json::Quote(refusal.approval_id);
  return out += '}';
}

/// What can be answered without waiting: a task, or the question to open the page.
std::optional<WireAnswer> AnswerAtOnce(Call& call, const op::Refusal& refusal) {
  if (AsksForTask(call)) return MakeGateTask(call, refusal);
  if (call.hold_round > 0 || !MayAskForInput(call)) return std::nullopt;
  // Nothing is kept in clear until somebody fetches it.
  if (call.message.method == "tools/call" && !call.unmask &&
      Declares(call, "extensions", "io.modelcontextprotocol/tasks"))
    return MakeGateTask(call, refusal);
  if (!refusal.approval_url.empty() && Declares(call, "elicitation", "url")) {
    return AskAgain(call, refusal,
                    R"({"approval":{"method":"elicitation/create","params":)" +
                        UrlParams(refusal, true) + "}}");
  }
  return std::nullopt;
}

/// Shows the link to a client of 2025-11-25 that opens URLs; a person who declines takes the
/// request back.
boost::asio::awaitable<void> ShowLink(std::shared_ptr<Call> call, std::string params) {
  const auto answer = co_await call->ask(*call, "elicitation/create", std::move(params));
  if (!answer || answer->error) co_return;
  const auto doc = json::Document::Parse(answer->json);
  if (!doc || doc->root()["action"].string() != "decline") co_return;
  call->hold_declined = true;
  if (call->wake_parked) call->wake_parked();
}

class Wait {
 public:
  Wait(Call& call, approval::Desk& desk, const op::Refusal& refusal,
       const boost::asio::any_io_executor& executor)
      : call_(call), refusal_(refusal), vigil_(executor, desk, refusal.approval_id) {
    call_.wake_parked = [this] { vigil_.Wake(); };
  }
  ~Wait() { call_.wake_parked = nullptr; }

  const approval::Vigil& vigil() const { return vigil_; }

  boost::asio::awaitable<void> Until(steady_clock::time_point deadline) {
    const std::string token(call_.message.params["_meta"]["progressToken"].raw());
    auto next = steady_clock::now();
    for (;;) {
      const auto now = steady_clock::now();
      if (Over() || now >= deadline) co_return;
      if (!token.empty() && now >= next) {
        next = now + kProgressEvery;
        if (!co_await Report(token)) co_return;
      }
      const auto until = token.empty() ? deadline : std::min(deadline, next);
      co_await vigil_.Rest(std::chrono::ceil<milliseconds>(until - now));
    }
  }

 private:
  bool Over() const {
    return vigil_.outcome() || call_.cancelled || call_.hold_declined ||
           call_.front.streams_ended.load() || call_.front.draining.load();
  }

  /// In steps so small that the upstream's own progress goes on from there.
  Task<> Report(const std::string& token) {
    call_.progress_told += 0.001;
    char value[32];
    std::snprintf(value, sizeof value, "%.3f", call_.progress_told);
    co_return co_await call_.out->Push(
        MethodMessage({}, "notifications/progress",
                      R"({"progressToken":)" + token + R"(,"progress":)" + value +
                          R"(,"message":)" + json::Quote(Waiting(refusal_)) + '}'));
  }

  Call& call_;
  const op::Refusal& refusal_;
  approval::Vigil vigil_;
};

/// One wait for one request. nullopt: ask the gate again; else the answer to give.
boost::asio::awaitable<std::optional<WireAnswer>> WaitOnce(Call& call, approval::Desk& desk,
                                                           const op::Refusal& refusal,
                                                           steady_clock::time_point deadline,
                                                           const WireContext& context) {
  const auto executor = co_await net::ThisExecutor();
  Wait wait(call, desk, refusal, executor);
  if (!call.modern() && call.ask && !call.several && !refusal.approval_url.empty() &&
      call.hold_round == 0 && Declares(call, "elicitation", "url")) {
    call.hold_round = 1;
    net::Spawn(executor, ShowLink(call.shared_from_this(), UrlParams(refusal, false)));
  }
  if (!call.hold_declined) co_await wait.Until(deadline);
  if (call.cancelled || call.hold_declined) {
    if (call.withdraws || call.hold_declined)
      (void)desk.Withdraw(refusal.approval_id, call.session->who, "the caller took it back");
    if (call.hold_declined && !call.cancelled) co_return ClosedAnswer(desk, refusal, context);
    co_return ToWire(Error(Errc::cancelled), context, refusal.decision_id);
  }
  const auto outcome = wait.vigil().outcome();
  if (outcome) {
    using approval::State;
    if (!*outcome) co_return ToWire(outcome->error(), context, refusal.decision_id);
    if (**outcome == State::approved || **outcome == State::redeemed) {
      // A session's call goes on without its client, but an approval is not used up for nobody.
      if (!call.modern() && !call.out->attached()) co_return ToWire(refusal, context);
      co_return std::nullopt;  // the gate redeems it; used by another call of this caller: asks
                               // again
    }
    if (**outcome == State::withdrawn) {  // by new rules: they decide
      const auto request = desk.Find(refusal.approval_id);
      if (request && request->policy_version != call.front.options.gate.rules()->version())
        co_return std::nullopt;
    }
    co_return ClosedAnswer(desk, refusal, context);
  }
  const bool leaves = call.front.streams_ended.load() || call.front.draining.load();
  if (!leaves && MayAskForInput(call) && call.hold_round < kMostRounds)
    co_return AskAgain(call, refusal, {});
  co_return ToWire(refusal, context);
}

}  // namespace

WireAnswer ClosedAnswer(approval::Desk& desk, op::Refusal refusal, const WireContext& context) {
  refusal.error = desk.Refuse(refusal.approval_id);
  refusal.decision.message.clear();
  return ToWire(refusal, context);
}

boost::asio::awaitable<std::expected<gate::Permit, WireAnswer>> AdmitOrHold(
    Call& call, const op::Operation& operation, bool output_schema) {
  gate::Gate& gate = call.front.options.gate;
  const auto deadline = steady_clock::now() + call.settings->limits.approval_hold;
  const WireContext context = call.wire(output_schema);
  std::string last;
  for (;;) {
    auto admitted = co_await gate.Admit(call.session, operation);
    if (admitted) co_return std::move(*admitted);
    const op::Refusal& refusal = admitted.error();
    approval::Desk* desk = gate.desk();
    const bool waits = refusal.error.code == Errc::approval_required && desk != nullptr &&
                       !call.background && !refusal.approval_id.empty() &&
                       refusal.approval_id != last;
    if (!waits) co_return std::unexpected(ToWire(refusal, context));
    last = refusal.approval_id;
    if (auto answer = AnswerAtOnce(call, refusal)) co_return std::unexpected(std::move(*answer));
    auto answer = co_await WaitOnce(call, *desk, refusal, deadline, context);
    if (answer) co_return std::unexpected(std::move(*answer));
  }
}

}  // namespace sallyport::mcp
