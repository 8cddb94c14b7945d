#include "mcp/call.h"
#include "mcp/json_edit.h"
#include "mcp/member_scan.h"
#include "mcp/request_binding.h"

namespace sallyport::mcp {
namespace {

constexpr Nanos kSecond = 1'000'000'000;
constexpr Nanos kStateLifetime = 3600 * kSecond;
constexpr Nanos kTaskLifetime = 7 * 24 * 3600 * kSecond;

bool MayAskForInput(std::string_view method) {
  return method == "tools/call" || method == "prompts/get" || method == "resources/read";
}

std::string CapabilityFor(std::string_view method) {
  if (method == "sampling/createMessage") return R"({"sampling":{}})";
  if (method == "roots/list") return R"({"roots":{}})";
  return R"({"elicitation":{}})";
}

Result<> CheckQuestions(const Call& call, json::Value requests) {
  if (!requests) return {};
  if (!requests.is(json::Kind::object))
    return Fail(Errc::upstream_protocol, "inputRequests is no object");
  for (json::Value v = requests.first(); v; v = v.next()) {
    if (!call.place.connection->settings.server_requests ||
        !ClientAnswers(call.can, v["method"].string().value_or(""), v["params"])) {
      return Fail(Errc::capability_missing, CapabilityFor(v["method"].string().value_or("")));
    }
  }
  return {};
}

/// Seals the task id at `object`, so that only this principal can use it here.
void SealTask(Call& call, json::Value object, JsonEdit& edit) {
  const auto id = object["taskId"].string();
  if (!id) return;
  const std::string tool = call.task_tool.empty() ? std::string(call.name()) : call.task_tool;
  call.sealed.emplace_back("/taskId");
  edit.Replace(object["taskId"], json::Quote(call.front.sealed->Seal(
                                     TaskBinding(call.session->who, call.place.connection->name),
                                     tool + '\n' + std::string(*id),
                                     call.front.options.clock.WallNow() + kTaskLifetime)));
}

}  // namespace

std::string WithoutModernMembers(std::string result) {
  if (result.find("resultType") == std::string::npos) return result;
  std::string out = "{";
  MemberScan scan(result);
  while (scan.Next()) {
    const std::string_view key = scan.key();
    if (key == "resultType" || key == "ttlMs" || key == "cacheScope") continue;
    if (out.size() > 1) out += ',';
    out.append(std::string_view(result).substr(scan.begin(), scan.end() - scan.begin()));
  }
  return scan.ok() ? out + '}' : std::move(result);
}

Result<std::string> SealUnfinished(Call& call, std::string result) {
  if (!call.modern()) return WithoutModernMembers(std::move(result));
  const bool task_method = call.message.method.starts_with("tasks/");
  if (!task_method) {
    // Most answers are complete and need no reading. (A second type is refused with every other
    // name that occurs twice, when the answer is masked.)
    const std::string_view type = FindMember(result, "resultType");
    if (type == R"("complete")") return result;
    if (type.empty()) return Fail(Errc::upstream_protocol, "a result without its type");
  }
  const auto doc = json::Document::Parse(result, {.max_bytes = 64u << 20});
  if (!doc) return Fail(Errc::upstream_protocol, "an answer that cannot be read");
  const json::Value root = doc->root();
  const std::string_view type = root["resultType"].string().value_or("");
  JsonEdit edit(result);
  if (task_method) {
    SALLYPORT_CHECK(CheckQuestions(call, root["inputRequests"]));
    SealTask(call, root, edit);
  } else if (type == "input_required") {
    if (!MayAskForInput(call.message.method))
      return Fail(Errc::upstream_protocol, "input_required where it may not be");
    SALLYPORT_CHECK(CheckQuestions(call, root["inputRequests"]));
    if (const json::Value state = root["requestState"]) {
      const auto text = state.string();
      if (!text) return Fail(Errc::upstream_protocol, "a requestState that is no string");
      call.sealed.emplace_back("/requestState");
      edit.Replace(
          state,
          json::Quote(call.front.sealed->Seal(
              RequestBinding(call.session->who, call.place.connection->name, call.message),
              "u" + std::string(*text), call.front.options.clock.WallNow() + kStateLifetime)));
    } else if (!root["inputRequests"]) {
      return Fail(Errc::upstream_protocol, "input_required without a question");
    }
  } else if (type == "task") {
    const auto can = json::Document::Parse(call.can);
    if (call.message.method != "tools/call" || !can ||
        !can->root()["extensions"]["io.modelcontextprotocol/tasks"]) {
      return Fail(Errc::capability_missing,
                  R"({"extensions":{"io.modelcontextprotocol/tasks":{}}})");
    }
    SealTask(call, root, edit);
  } else if (type != "complete") {
    return Fail(Errc::upstream_protocol, "a result of an unknown type");
  }
  return edit.empty() ? std::move(result) : edit.Apply();
}

}  // namespace sallyport::mcp
