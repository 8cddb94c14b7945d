#pragma once

#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "mcp/call_stream.h"
#include "mcp/front.h"
#include "mcp/gate_task.h"
#include "mcp/to_operation.h"

namespace sallyport::mcp {

/// One request of a client on its way through the gate. Owns all it needs, because in the session
/// eras it goes on when the client's connection is gone. ONE shard.
struct Call : std::enable_shared_from_this<Call> {
  /// Puts a question of the upstream to the client and waits for the answer.
  using Asker =
      std::function<Task<UpstreamAnswer>(Call& call, std::string method, std::string params)>;

  Call(Front& given_front, Place given_place) : front(given_front), place(given_place) {}

  Front& front;
  Place place;
  std::shared_ptr<const Settings> settings;
  MaskRules rules;

  std::shared_ptr<const op::Session> session;
  std::shared_ptr<UpstreamPeer> peer;
  LoadSlot slot;
  Asker ask;        // empty: the client cannot be asked
  std::string can;  // JSON object: the client's capabilities

  Revision revision = Revision::r2025_11_25;
  std::shared_ptr<const Incoming> in;  // what `message` views
  ClientMessage message;
  op::Verb verb = op::Verb::protocol;
  std::string reply_id;             // raw; of the request that will get the answer
  net::Headers param_headers;       // Mcp-Param-*
  std::string traceparent;          // the client's, or a new one: goes upstream and into the log
  std::string params;               // for the upstream, if they differ from the client's
  std::string upstream_name;        // source of Mcp-Name, if it differs (an opened task id)
  std::string task_tool;            // tasks/*: the tool that made the task
  std::vector<std::string> sealed;  // pointers of the handles in the answer that the gateway made
  bool wants_log = true;            // the client asked for log messages

  std::shared_ptr<CallStream> out;
  std::function<Task<>(std::string message)>
      tell;              // set: takes what comes before the answer, instead of `out`
  bool several = false;  // part of a batch: the stream has more answers than this one

  /// The client does not want the answer any more.
  void Cancel() {
    cancelled = true;
    if (calling) peer->Cancel(token);
    if (wake_parked) wake_parked();
  }
  bool cancelled = false;
  std::optional<Error> killed;       // the caller's right to it has ended: what the client is told
  identity::VerifiedPtr credential;  // with which it was asked for
  Nanos begun_at = 0;
  bool withdraws = false;   // cancelled because it is not wanted, not because nobody waits any more
  uint32_t hold_round = 0;  // requests of the client so far for a call that waits for approval
  uint32_t link_round = 0;  // the same for a call that waits for its person's account
  std::string link_before;  // what was linked when that was asked for
  bool link_declined = false;  // the person does not want to link one
  bool hold_declined = false;  // the person does not want it any more
  double progress_told = 0;    // the gateway's own; the upstream's goes on from there
  bool background = false;     // runs for a task of the gateway: nobody is there to be asked
  std::optional<GateTaskId> gate_task;  // what a tasks/* request of the client is about
  std::optional<op::UnmaskAsk> unmask;  // what the client asks to see in clear
  bool succeeded = false;               // after RunCall: the answer is a result
  bool calling = false;
  uint64_t token = 0;
  std::function<void()> wake_parked;

  bool modern() const { return IsModern(revision); }
  std::string_view name() const;  // tool, prompt or URI as the client wrote it
  WireContext wire(bool output_schema = false) const {
    return {.method = message.method,
            .name = name(),
            .modern = modern(),
            .output_schema = output_schema};
  }
};

/// kill.cc: ends a call whose caller has no right to it any more, and tells the client at once.
void KillCall(const std::shared_ptr<Call>& call, const Error& why);
/// kill.cc: whether its credential is still good; work that it is from here on, so that the session
/// is not idle.
Result<access::Work> EnterCall(const Call& call);

/// A call as long as it runs, so that a kill finds it. On the call's shard.
class Running {
 public:
  Running(ShardState& shard, const std::shared_ptr<Call>& call) : shard_(shard), call_(call.get()) {
    shard_.running[call_] = call;
  }
  ~Running() { shard_.running.erase(call_); }
  Running(const Running&) = delete;

 private:
  ShardState& shard_;
  const Call* call_;
};

/// Judges, records, calls, masks, records: the answer.
boost::asio::awaitable<WireAnswer> AnswerCall(Call& call);
/// The same, and the answer ends `call->out`. Never throws.
boost::asio::awaitable<void> RunCall(std::shared_ptr<Call> call);

/// The parts of the way, one file each.

/// call_tools.cc: the tool list, fetched from the upstream page by page under this permit and
/// published.
Task<ToolTablePtr> FetchTools(Call& call, const gate::Permit& permit, UpstreamEvents& events);
/// call_tools.cc: what is new about pinned definitions, into the log.
Result<> RecordChanges(Call& call, const std::vector<PinChange>& changes);
/// call_tools.cc: the caller's tools/list out of a table.
std::string VisibleTools(Call& call, const ToolTable& table);
/// list_filter.cc: a page of prompts, resources or templates with what the caller may see.
Result<std::string> FilterList(const Call& call, std::string result);
/// list_filter.cc: a result that no cache may give to anybody else.
Result<std::string> KeepPrivate(std::string result);
/// call_discover.cc: what the gateway says about the upstream in this era.
Task<std::string> DiscoverResult(Call& call, const gate::Permit& permit);
/// call_unfinished.cc: an answer that is not the end (input_required, task): checked against what
/// the client declared, its handles sealed.
Result<std::string> SealUnfinished(Call& call, std::string result);
/// call_unfinished.cc: a result without what only the newest revision knows.
std::string WithoutModernMembers(std::string result);
/// call_park.cc: the Asker of a modern client on an upstream of the session eras.
Task<UpstreamAnswer> AskByParking(Call& call, std::string method, std::string params);
/// call_park.cc: the client's repeated request for a parked call, which answers it on `out` from
/// now on. False if the call has ended meanwhile.
bool Resume(ParkedTable& table, const std::shared_ptr<Parked>& parked,
            const std::shared_ptr<const Incoming>& in, const ClientMessage& message,
            std::shared_ptr<CallStream> out);

/// True if the client said in `capabilities` (JSON object) that it answers this method.
bool ClientAnswers(std::string_view capabilities, std::string_view method, json::Value params);

}  // namespace sallyport::mcp
