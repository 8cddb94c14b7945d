#include "mcp/call.h"
#include "mcp/client_message.h"
#include "mcp/json_edit.h"
#include "mcp/unmask.h"
#include "policy/rules.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kMaxPages = 200;
constexpr size_t kMaxBytes = 64u << 20;

/// `{"cursor":…,"_meta":…}`: our own request for a page, in the client's name.
std::string PageParams(const Call& call, std::string_view cursor) {
  std::string params = "{";
  if (!cursor.empty()) params.append(R"("cursor":)").append(cursor);
  if (call.modern()) {
    if (params.size() > 1) params += ',';
    const json::Value meta = call.message.params["_meta"];
    JsonEdit edit(meta.raw());
    params += R"("_meta":{)";
    bool first = true;
    for (json::Value v = meta.first(); v; v = v.next()) {
      // No progress of a request that the client did not make.
      if (v.key() == "progressToken" || v.key() == kUnmaskMeta) continue;
      if (!first) params += ',';
      first = false;
      params.append(v.raw_key()).append(":").append(v.raw());
    }
    params += '}';
  }
  return params += '}';
}

}  // namespace

Result<> RecordChanges(Call& call, const std::vector<PinChange>& changes) {
  for (const PinChange& change : changes) {
    op::Evidence e;
    e.type = change.kind == PinChange::Kind::pinned ? op::EventType::tool_pinned
                                                    : op::EventType::tool_changed;
    e.session = call.session->entry;
    e.connection = call.place.connection->name;
    e.resource = MaskPlain(call.rules, change.tool);
    e.detail = change.tool.empty() ? "instructions: " : "";
    e.detail += PinChangeName(change.kind);
    if (!change.before.empty()) e.detail += " from " + MaskPlain(call.rules, change.before);
    SALLYPORT_CHECK(call.front.options.gate.Record(std::move(e)));
  }
  return {};
}

Task<ToolTablePtr> FetchTools(Call& call, const gate::Permit& permit, UpstreamEvents& events) {
  Catalog& catalog = call.place.connection->catalog;
  catalog.BeginFetch();
  std::vector<std::string> pages;
  std::string cursor;
  size_t bytes = 0;
  do {
    UpstreamRequest request{.method = "tools/list", .params = PageParams(call, cursor)};
    call.token = call.peer->NextToken();
    call.calling = true;
    auto answer = co_await call.peer->Call(permit, std::move(request), events);
    call.calling = false;
    if (!answer) {
      catalog.Invalidate();
      co_return std::unexpected(answer.error());
    }
    if (answer->error) {
      const auto doc = json::Document::Parse(answer->json);
      if (doc && doc->root()["code"].integer() == kMethodNotFound) {
        co_return catalog.PublishUnknown(call.front.options.clock.SteadyNow());
      }
      catalog.Invalidate();
      co_return Fail(Errc::upstream_protocol, "the upstream does not give its tool list");
    }
    bytes += answer->json.size();
    if (pages.size() == kMaxPages || bytes > kMaxBytes) {
      catalog.Invalidate();
      co_return Fail(Errc::upstream_too_large, "the tool list has no end");
    }
    const auto page = json::Document::Parse(answer->json, {.max_bytes = kMaxBytes});
    if (!page) co_return Fail(Errc::upstream_protocol, "a tool list that cannot be read");
    const json::Value next = page->root()["nextCursor"];
    const std::string before = std::move(cursor);
    cursor = next.is(json::Kind::string) ? std::string(next.raw()) : std::string();
    pages.push_back(std::move(answer->json));
    if (!cursor.empty() && cursor == before) break;  // turns in a circle
  } while (!cursor.empty());
  std::vector<PinChange> changes;
  auto table = catalog.Publish(pages, call.front.options.clock.SteadyNow(), changes);
  SALLYPORT_CO_CHECK(RecordChanges(call, changes));
  co_return table;
}

std::string VisibleTools(Call& call, const ToolTable& table) {
  const Connection& connection = *call.place.connection;
  const auto rules = call.front.options.gate.rules();
  const auto frame =
      json::Document::Parse(table.frame.empty() ? std::string_view("{}") : table.frame);
  std::string out = R"({"tools":[)";
  for (const Tool& tool : table.tools) {
    if (tool.quarantined || !tool.definition.header_fault.empty()) continue;
    if (!rules->Visible(call.session->who, connection.name, connection.labels, op::Verb::tool_call,
                        tool.definition.name)) {
      continue;
    }
    if (out.back() != '[') out += ',';
    out += tool.json;
  }
  out += ']';
  for (json::Value v = frame->root().first(); v; v = v.next()) {
    if (v.key() == "cacheScope") continue;
    if (!call.modern() && (v.key() == "ttlMs" || v.key() == "resultType")) continue;
    out.append(",").append(v.raw_key()).append(":").append(v.raw());
  }
  if (call.modern()) {
    out += R"(,"cacheScope":"private")";
    if (!frame->root()["ttlMs"]) out += R"(,"ttlMs":0)";
    if (!frame->root()["resultType"]) out += R"(,"resultType":"complete")";
  }
  return out += '}';
}

}  // namespace sallyport::mcp
