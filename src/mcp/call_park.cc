#include "base/ids.h"
#include "mcp/call.h"
#include "mcp/request_binding.h"

namespace sallyport::mcp {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr std::chrono::seconds kWait{300};

/// Gives the client its answer to the present request: a question, and the state to come back with.
void AnswerWithQuestion(Call& call, ParkedTable& table, const std::shared_ptr<Parked>& parked) {
  const std::string id = NewHandle(18);
  table.Insert(id, parked);
  const std::string state = call.front.sealed->Seal(
      parked->binding, "p" + std::to_string(call.front.here().index) + ":" + id,
      call.front.options.clock.WallNow() + kWait.count() * kSecond);
  Outgoing out;
  out.json = ResultMessage(call.reply_id, R"({"resultType":"input_required","inputRequests":{")" +
                                              parked->key + R"(":)" + parked->question +
                                              R"(},"requestState":)" + json::Quote(state) + '}');
  call.out->Finish(std::move(out));
}

}  // namespace

Task<UpstreamAnswer> AskByParking(Call& call, std::string method, std::string params) {
  ParkedTable& table = call.front.here().parked;
  const auto parked = std::make_shared<Parked>(call.front.here().executor);
  auto slot = LoadSlot::Take(call.front.loads.Of(call.session->who), &CallerLoad::parked,
                             call.settings->limits.streams_per_caller);
  if (!slot) co_return Fail(Errc::limit_exceeded);
  parked->slot = std::move(*slot);
  parked->call = call.shared_from_this();
  parked->binding = RequestBinding(call.session->who, call.place.connection->name, call.message);
  parked->key = "input-" + NewHandle(6);
  parked->question = R"({"method":)" + json::Quote(method) + R"(,"params":)" + params + '}';
  call.wake_parked = [weak = std::weak_ptr(parked)] {
    if (const auto p = weak.lock()) p->answered.Set();
  };
  AnswerWithQuestion(call, table, parked);
  const Result<> waited = co_await parked->answered.Wait(kWait);
  call.wake_parked = nullptr;
  table.Remove(parked.get());
  parked->call = nullptr;
  if (!waited) co_return std::unexpected(waited.error());
  if (!parked->answer) co_return Fail(Errc::cancelled);
  co_return std::move(*parked->answer);
}

bool Resume(ParkedTable& table, const std::shared_ptr<Parked>& parked,
            const std::shared_ptr<const Incoming>& in, const ClientMessage& message,
            std::shared_ptr<CallStream> out) {
  Call& call = *parked->call;
  if (call.cancelled) return false;
  call.in = in;
  call.message = message;
  call.reply_id = message.id;
  call.out = std::move(out);
  const json::Value response = message.params["inputResponses"][parked->key];
  if (!response.is(json::Kind::object)) {  // what was asked for is not there: asked again
    AnswerWithQuestion(call, table, parked);
    return true;
  }
  parked->answer = UpstreamAnswer{false, std::string(response.raw())};
  parked->answered.Set();
  return true;
}

}  // namespace sallyport::mcp
