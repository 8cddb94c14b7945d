#include "mcp/call.h"

#include "base/ids.h"
#include "base/trace.h"
#include "mask/hidden_number.h"
#include "mcp/bearer.h"
#include "mcp/call_events.h"
#include "mcp/call_hold.h"
#include "mcp/call_link.h"
#include "mcp/envelope.h"
#include "mcp/header_check.h"
#include "mcp/mask_message.h"
#include "mcp/member_scan.h"
#include "mcp/unmask.h"
#include "mcp/upstream_bridge.h"
#include "obs/log.h"
#include "obs/metrics.h"

namespace sallyport::mcp {
namespace {

constexpr std::chrono::seconds kRelook{
    2};  // an unknown tool asks for the list again, not more often

WireAnswer Explain(const Call& call, const Error& error, std::string_view decision_id,
                   bool output_schema = false) {
  if (error.code == Errc::capability_missing) return MissingCapability(error.detail);
  return ToWire(error, call.wire(output_schema), decision_id);
}

/// The trace that the call belongs to: the client says it in `_meta` (SEP-414) or in a header, or
/// it begins here. A number that looks like that of a card is none of a trace: it stands in the
/// log.
std::string TraceOf(const Call& call) {
  const auto good = [&](std::string_view text) {
    return !TraceIdOf(text).empty() && !mask::HidesNumber(*call.rules.masker, text);
  };
  const auto meta = call.message.params["_meta"]["traceparent"].string();
  if (meta && good(*meta)) return std::string(*meta);
  if (good(call.in->traceparent)) return call.in->traceparent;
  for (;;) {
    std::string made = NewTraceparent();
    if (good(made)) return made;
  }
}

bool CarriesTrace(op::Verb verb) {
  return verb == op::Verb::tool_call || verb == op::Verb::prompt_get ||
         verb == op::Verb::resource_read;
}

/// Refused before it became an operation: recorded with a decision id of its own.
WireAnswer Refuse(Call& call, const Error& error, bool output_schema = false) {
  const std::string id = NewId("d_");
  const auto recorded =
      RecordRefused(call.front, op::EventType::request_refused, call.place.connection->name,
                    call.session->from.address, call.session.get(), call.message.method, error, id);
  if (recorded && error.code == Errc::upstream_link_needed)
    return LinkAnswer(call, error, id, output_schema);
  return Explain(call, recorded ? error : recorded.error(), id);
}

/// One admitted operation, from the permit to the settled answer.
class Conduct {
 public:
  Conduct(Call& call, gate::Permit permit)
      : call_(call), permit_(std::move(permit)), events_(call, permit_) {
    if (const op::UnmaskLicence* licence = permit_.licence()) {
      clear_.emplace(licence->detectors, licence->max_values,
                     [closes = licence->closes, &clock = call.front.options.clock] {
                       return clock.SteadyNow() < closes;
                     });
    }
  }

  Task<WireAnswer> Run(ToolTablePtr table) {
    const std::string decision_id = permit_.decision_id();
    Result<WireAnswer> answer = co_await Work(std::move(table));
    if (!answer) {
      const bool schema = tool_ != nullptr && tool_->definition.has_output_schema;
      WireAnswer told = answer.error().code == Errc::upstream_link_needed
                            ? LinkAnswer(call_, answer.error(), decision_id, schema)
                            : Explain(call_, answer.error(), decision_id, schema);
      told.code = ReasonCode(answer.error().code);
      reason_ = answer.error().code;
      if (!spent_) SALLYPORT_CO_CHECK(co_await Settle(told, {}));
      co_return told;
    }
    co_return std::move(*answer);
  }

 private:
  /// The answer, settled; an error is settled by the caller.
  Task<WireAnswer> Work(ToolTablePtr table) {
    if (call_.cancelled) co_return Fail(Errc::cancelled);
    if (call_.message.method == "server/discover" || call_.message.method == "initialize") {
      SALLYPORT_CO_TRY(std::string result, co_await DiscoverResult(call_, permit_));
      co_return co_await Release({false, std::move(result)});
    }
    if (call_.gate_task) {
      call_.sealed.emplace_back("/taskId");
      SALLYPORT_CO_TRY(UpstreamAnswer answer, co_await GateTaskAnswer(call_));
      co_return co_await Release(std::move(answer));
    }
    if (call_.message.method == "ping") co_return co_await Release({false, "{}"});
    if (call_.message.method == "tools/list") {
      if (call_.message.params["cursor"])
        co_return Fail(Errc::request_malformed, "there is no such page");
      SALLYPORT_CO_TRY(table, co_await FetchTools(call_, permit_, events_));
      if (table->unknown)
        co_return co_await Release({true, ErrorText(kMethodNotFound, "Method not found")});
      co_return co_await Release({false, VisibleTools(call_, *table)});
    }
    if (call_.verb == op::Verb::tool_call) {
      SALLYPORT_CO_TRY(std::optional<WireAnswer> refused, co_await FindTool(std::move(table)));
      if (refused) co_return std::move(*refused);
    }
    if (!call_.task_tool
             .empty()) {  // its result has to fit the schema of the tool that made the task
      table_ = call_.place.connection->catalog.last();
      tool_ = table_ ? table_->Find(call_.task_tool) : nullptr;
    }
    if (call_.cancelled) co_return Fail(Errc::cancelled);
    SALLYPORT_CO_TRY(UpstreamAnswer answer, co_await CallUpstream());
    if (!answer.error) {
      if (call_.message.method == "prompts/list" || call_.message.method == "resources/list" ||
          call_.message.method == "resources/templates/list") {
        SALLYPORT_CO_TRY(answer.json, FilterList(call_, std::move(answer.json)));
      }
      if (call_.message.method == "resources/read" && call_.modern()) {
        SALLYPORT_CO_TRY(answer.json, KeepPrivate(std::move(answer.json)));
      }
      SALLYPORT_CO_TRY(answer.json, SealUnfinished(call_, std::move(answer.json)));
    }
    co_return co_await Release(std::move(answer));
  }

  /// Looks the tool up: an unknown one, a quarantined one and a wrong mirrored header end the call
  /// here.
  Task<std::optional<WireAnswer>> FindTool(ToolTablePtr table) {
    const bool late = table == nullptr;
    if (late) {
      SALLYPORT_CO_TRY(table, co_await FetchTools(call_, permit_, events_));
    }
    const std::string_view name = call_.name();
    if (!table->unknown && table->Find(name) == nullptr &&
        call_.front.options.clock.SteadyNow() - table->fetched > kRelook) {
      SALLYPORT_CO_TRY(table, co_await FetchTools(call_, permit_, events_));
    }
    table_ = table;
    tool_ = table->Find(name);
    if (tool_ == nullptr && table->unknown) co_return std::nullopt;
    if (tool_ == nullptr || !tool_->definition.header_fault.empty()) {
      WireAnswer unknown = UnknownName(call_.wire());
      reason_ = Errc::tool_unknown;
      SALLYPORT_CO_CHECK(co_await Settle(unknown, {}));
      co_return unknown;
    }
    if (tool_->quarantined) {
      co_return Fail(Errc::tool_quarantined,
                     call_.place.connection->catalog.TakesChanges()
                         ? ""
                         : "The definition of this tool has changed, and changes are denied here.");
    }
    if (late && call_.modern() && !call_.background) {
      SALLYPORT_CO_CHECK(CheckParamHeaders(call_.param_headers, tool_->definition,
                                           call_.message.params["arguments"]));
    }
    co_return std::nullopt;
  }

  Task<UpstreamAnswer> CallUpstream() {
    UpstreamRequest request{
        .method = std::string(call_.message.method),
        .params = call_.params.empty() ? std::string(call_.message.params.raw()) : call_.params,
        .headers = call_.param_headers.fields()};
    if (call_.unmask) request.params = WithoutUnmask(request.params);
    if (!call_.traceparent.empty())
      request.params = WithTraceparent(request.params, call_.traceparent);
    if ((!call_.modern() || call_.background) && tool_ != nullptr) {
      request.headers = MirrorParams(tool_->definition, call_.message.params["arguments"]);
    }
    request.name = call_.upstream_name.empty()
                       ? std::string(NameSource(call_.message).string().value_or(""))
                       : call_.upstream_name;
    call_.token = call_.peer->NextToken();
    call_.calling = true;
    auto answer = co_await call_.peer->Call(permit_, std::move(request), events_);
    call_.calling = false;
    co_return answer;
  }

  /// Masks, records the outcome, and only then lets the answer go.
  Task<WireAnswer> Release(UpstreamAnswer answer) {
    WireAnswer wire;
    wire.error = answer.error;
    if (answer.error) {
      const auto doc = json::Document::Parse(answer.json);
      const int64_t code = doc ? doc->root()["code"].integer().value_or(0) : 0;
      // The code goes out and into the log as it is, so it must not have room for a card number.
      if (code == 0 || code < INT32_MIN || code > INT32_MAX)
        co_return Fail(Errc::upstream_protocol, "an error without a code");
      wire.code = std::to_string(code);
      // What the specification ties to an HTTP status keeps it.
      if (code == kMethodNotFound) wire.status = 404;
      if (code == kMissingCapability || code == kHeaderMismatch || code == kUnsupportedVersion)
        wire.status = 400;
      if (!call_.modern()) wire.status = 200;
    }
    mask::Clear* clear = clear_ && IsEnd(answer) ? &*clear_ : nullptr;
    Result<MaskedMessage> masked =
        answer.error
            ? MaskError(call_.rules, std::move(answer.json))
            : MaskResult(call_.rules, std::move(answer.json),
                         tool_ == nullptr ? nullptr : &tool_->definition,
                         call_.task_tool.empty() ? "" : "/result", std::move(call_.sealed), clear);
    if (!masked) co_return std::unexpected(masked.error());
    wire.json = masked->shown.empty() ? masked->json : masked->shown;
    SALLYPORT_CO_CHECK(co_await Settle(wire, std::move(*masked)));
    co_return wire;
  }

  Task<> Settle(const WireAnswer& wire, MaskedMessage masked) {
    gate::Settlement settlement;
    settlement.ok = wire.code.empty();
    settlement.code = wire.code;
    settlement.reason = reason_;
    if (masked.json.empty()) masked.json = wire.json;
    SALLYPORT_CO_TRY(settlement.result, RecordOf(call_.rules, masked));
    settlement.masked = std::move(masked.counts);
    if (clear_) settlement.unmasked = op::Unmasked{clear_->values(), clear_->places()};
    spent_ = true;
    co_return co_await call_.front.options.gate.Settle(std::move(permit_), std::move(settlement));
  }

  /// Not a question or a task: those show nothing in clear.
  static bool IsEnd(const UpstreamAnswer& answer) {
    const std::string_view type = FindMember(answer.json, "resultType");
    return type.empty() || type == R"("complete")";
  }

  Call& call_;
  gate::Permit permit_;
  CallEvents events_;
  std::optional<mask::Clear> clear_;  // what the client may see in clear, with a licence for it
  std::optional<Errc> reason_;        // why the gateway gives its own answer
  bool spent_ = false;                // the permit was given back, with success or not
  ToolTablePtr table_;
  const Tool* tool_ = nullptr;
};

/// An OAuth client that has asked for less than there is can ask its person for more.
bool MayAskForMore(const Call& call, const WireAnswer& answer) {
  const auto& credential = call.credential;
  return answer.beyond_grant && credential && credential->live && credential->live->kind == "mcp" &&
         !call.several && !call.background;
}

}  // namespace

boost::asio::awaitable<WireAnswer> AnswerCall(Call& call) {
  ToolTablePtr table;
  const Tool* tool = nullptr;
  if (call.verb == op::Verb::tool_call) {
    table = call.place.connection->catalog.Fresh(call.front.options.clock.SteadyNow());
    tool = table ? table->Find(call.name()) : nullptr;
    if (tool != nullptr && call.modern() && !call.background) {
      const auto agreed =
          CheckParamHeaders(call.param_headers, tool->definition, call.message.params["arguments"]);
      if (!agreed) co_return Refuse(call, agreed.error());
    }
  }
  auto operation = ToOperation(*call.place.connection, call.message, call.verb, call.rules,
                               tool == nullptr ? nullptr : &tool->definition);
  if (!operation) co_return Refuse(call, operation.error());
  auto unmask = ReadUnmask(call.message, call.rules);
  if (!unmask) co_return Refuse(call, unmask.error());
  if (*unmask) {
    call.unmask = std::move(*unmask);
    operation->unmask = &*call.unmask;
    if (AsksForTask(call))
      co_return Refuse(call, Error(Errc::unmask_denied, "a task keeps its answer for later"));
  }
  if (!call.task_tool.empty()) operation->resource = call.task_tool;
  if (CarriesTrace(call.verb)) call.traceparent = TraceOf(call);
  operation->trace = TraceIdOf(call.traceparent);
  if (call.gate_task) operation->resource = call.gate_task->tool;
  if (auto waits = co_await AwaitLink(call)) co_return std::move(*waits);
  const ToolTablePtr last = call.place.connection->catalog.last();
  const Tool* known = tool == nullptr && last ? last->Find(call.name()) : tool;
  const bool schema = known != nullptr && known->definition.has_output_schema;
  if (const auto missing = LinkMissing(call, *operation)) co_return Refuse(call, *missing, schema);
  auto permit = co_await AdmitOrHold(call, *operation, schema);
  if (!permit) co_return std::move(permit.error());
  Conduct conduct(call, std::move(*permit));
  Result<WireAnswer> answer = co_await conduct.Run(std::move(table));
  if (!answer)
    co_return Explain(call, answer.error(), {});  // not even the outcome could be recorded
  co_return std::move(*answer);
}

std::string_view Call::name() const {
  if (verb == op::Verb::completion) return {};
  return NameSource(message).string().value_or(std::string_view());
}

namespace {

/// `sallyport_mcp_operation_seconds` is `mcp.server.operation.duration` of the semantic conventions
/// (export/metrics_push.cc); its methods are those of VerbOf, so their number is bounded.
void CountCall(const Call& call, const WireAnswer& answer, double seconds) {
  static auto& calls =
      obs::Metrics().counters("sallyport_mcp_calls_total",
                              "MCP requests by connection and outcome.", {"server", "outcome"});
  static auto& times = obs::Metrics().histograms(
      "sallyport_mcp_operation_seconds", "From the request's arrival to its answer.",
      {"server", "method", "outcome"},
      {0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 30, 60, 120, 300});
  const std::string_view server = call.place.connection->name;
  const std::string_view outcome = answer.code.empty()     ? "ok"
                                   : answer.code == "held" ? "held"
                                   : answer.error          ? "error"
                                                           : "refused";
  calls.With({server, outcome}).Add();
  times.With({server, call.message.method, outcome}).Observe(seconds);
}

}  // namespace

boost::asio::awaitable<void> RunCall(std::shared_ptr<Call> call) {
  const Running running(call->front.here(), call);
  const Clock& clock = call->front.options.clock;
  call->begun_at = clock.WallNow();
  const auto begun = clock.SteadyNow();
  const auto work = EnterCall(*call);
  WireAnswer answer;
  try {
    answer = work ? co_await AnswerCall(*call) : Refuse(*call, work.error());
  } catch (const std::exception& e) {
    obs::Log(obs::Level::error, "mcp.exception", {{"what", e.what()}});
    answer = ToWire(Error(Errc::internal), call->wire());
  }
  if (call->killed) answer = ToWire(*call->killed, call->wire());
  call->succeeded = !answer.error;
  CountCall(*call, answer, std::chrono::duration<double>(clock.SteadyNow() - begun).count());
  if (call->cancelled && !call->killed && !call->modern()) {  // a cancelled request gets no answer
    if (!call->several) call->out->Abandon();
    co_return;
  }
  Outgoing out;
  // In the session eras 404 says that the session is gone, and other statuses hide the answer from
  // clients.
  const bool more = MayAskForMore(*call, answer);
  if (more) AskForMore(call->front, call->place.connection->name, answer);
  const bool plain = call->modern() || more || answer.status == 429 || answer.status == 503;
  out.status = plain ? answer.status : 200;
  out.headers = std::move(answer.headers);
  out.json = answer.error ? ErrorMessage(call->reply_id, answer.json)
                          : ResultMessage(call->reply_id, answer.json);
  if (call->several)
    (void)co_await call->out->Push(std::move(out.json));
  else
    call->out->Finish(std::move(out));
}

}  // namespace sallyport::mcp
