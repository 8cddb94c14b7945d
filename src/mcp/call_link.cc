#include "mcp/call_link.h"

#include "credential/user_oauth.h"
#include "mcp/request_binding.h"
#include "net/event.h"
#include "policy/rules.h"

namespace sallyport::mcp {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kLook{200};
constexpr Nanos kStateLifetime = Nanos(600) * 1'000'000'000;
/// The TypeScript SDK gives up after ten rounds of input_required.
constexpr uint32_t kMostRounds = 8;
constexpr int kUrlElicitationRequired = -32042;

bool OpensUrls(const Call& call) {
  const auto can = json::Document::Parse(call.can);
  return can && can->root()["elicitation"]["url"].is(json::Kind::object);
}

bool MayAskForInput(const Call& call) {
  const std::string_view method = call.message.method;
  return call.modern() && !call.several && !call.background &&
         (method == "tools/call" || method == "prompts/get" || method == "resources/read") &&
         // What belongs to a question of the upstream must come back with the next request.
         !call.message.params["requestState"] && !call.message.params["inputResponses"];
}

std::string UrlParams(const Call& call, const std::string& page) {
  return R"({"mode":"url","message":)" +
         json::Quote("Your own account has to be linked to the connection " +
                     call.place.connection->name + " first.") +
         R"(,"url":)" + json::Quote(page);
}

const credential::Credential* CredentialOf(const Call& call) {
  const auto at = call.front.factories.find(call.place.connection->name);
  return at == call.front.factories.end() ? nullptr : at->second->credential.get();
}

std::string LinkOf(const Call& call) {
  const auto* credential = CredentialOf(call);
  return credential == nullptr ? std::string() : credential->LinkOf(call.session->who);
}

/// The client is to send the same request again with this state.
WireAnswer AskAgain(const Call& call, const std::string& requests) {
  const std::string state = call.front.sealed->Seal(
      RequestBinding(call.session->who, call.place.connection->name, call.message),
      "l" + std::to_string(call.link_round + 1) + ":" + LinkOf(call),
      call.front.options.clock.WallNow() + kStateLifetime);
  WireAnswer answer;
  answer.code = ReasonCode(Errc::upstream_link_needed);
  answer.json = R"({"resultType":"input_required",)" + requests + R"("requestState":)" +
                json::Quote(state) + '}';
  return answer;
}

}  // namespace

WireAnswer LinkAnswer(Call& call, const Error& error, std::string_view decision_id,
                      bool output_schema) {
  WireAnswer plain = ToWire(error, call.wire(output_schema), decision_id);
  if (call.several || call.background || call.link_declined || !OpensUrls(call)) return plain;
  if (MayAskForInput(call) && call.link_round < kMostRounds) {
    return AskAgain(call, R"("inputRequests":{"link":{"method":"elicitation/create","params":)" +
                              UrlParams(call, error.detail) + "}}},");
  }
  if (call.modern() || call.revision < Revision::r2025_11_25) return plain;
  WireAnswer answer;
  answer.error = true;
  answer.code = std::to_string(kUrlElicitationRequired);
  answer.json =
      R"({"code":)" + answer.code +
      R"(,"message":"Your own account has to be linked first.","data":{"elicitations":[)" +
      UrlParams(call, error.detail) + R"(,"elicitationId":)" +
      json::Quote(std::string(decision_id)) + R"(}],"gateway":{"v":1,"decision":"deny",)" +
      R"("reason":"upstream-link-needed","link_url":)" + json::Quote(error.detail) + "}}}";
  return answer;
}

std::optional<Error> LinkMissing(const Call& call, const op::Operation& operation) {
  const auto* oauth = dynamic_cast<const credential::UserOauth*>(CredentialOf(call));
  const op::Principal& who = call.session->who;
  if (oauth == nullptr || !oauth->LinkOf(who).empty()) return std::nullopt;
  const auto decision = call.front.options.gate.rules()->Decide(who, operation);
  if (decision.effect != op::Verdict::approve) return std::nullopt;
  return Error(Errc::upstream_link_needed, oauth->PageFor(who));
}

boost::asio::awaitable<std::optional<WireAnswer>> AwaitLink(Call& call) {
  if (call.link_round == 0 || call.link_declined) co_return std::nullopt;
  const auto deadline = steady_clock::now() + call.settings->limits.approval_hold;
  while (LinkOf(call) == call.link_before) {
    const bool leaves =
        call.cancelled || call.front.streams_ended.load() || call.front.draining.load();
    if (leaves || call.link_round >= kMostRounds) co_return std::nullopt;
    if (steady_clock::now() >= deadline) co_return AskAgain(call, {});
    if (!co_await net::Sleep(kLook)) co_return std::nullopt;
  }
  co_return std::nullopt;
}

}  // namespace sallyport::mcp
