#include "mcp/call.h"
#include "mcp/json_edit.h"
#include "mcp/upstream_bridge.h"

namespace sallyport::mcp {
namespace {

constexpr std::string_view kTasks = "io.modelcontextprotocol/tasks";

/// What the upstream can do and the gateway passes on in this era.
/// `own_tasks`: the gateway itself answers with tasks.
std::string Capabilities(std::string_view upstream, bool modern, bool own_tasks) {
  const std::string tasks = R"("extensions":{")" + std::string(kTasks) + R"(":{}})";
  const auto doc = json::Document::Parse(upstream);
  if (!doc || !doc->root().is(json::Kind::object)) return own_tasks ? '{' + tasks + '}' : "{}";
  std::string out = "{";
  bool told = false;
  for (json::Value v = doc->root().first(); v; v = v.next()) {
    const std::string_view key = v.key();
    const bool known = key == "tools" || key == "prompts" || key == "resources" ||
                       key == "completions" || key == "logging" || (key == "tasks" && !modern);
    const bool extensions = key == "extensions" && modern && v[kTasks];
    if (!known && !extensions) continue;
    if (out.size() > 1) out += ',';
    out.append(v.raw_key()) += ':';
    // Only the extension that the gateway looks into: others would pass unjudged methods.
    told |= extensions;
    if (extensions)
      out.append("{\"").append(kTasks).append("\":").append(v[kTasks].raw()) += '}';
    else
      out.append(v.raw());
  }
  if (own_tasks && !told) out.append(out.size() > 1 ? "," : "").append(tasks);
  return out += '}';
}

Result<std::string> Instructions(Call& call, const UpstreamFace& face) {
  std::vector<PinChange> changes;
  const bool shown = call.place.connection->catalog.ShowsInstructions(face.instructions, changes);
  SALLYPORT_CHECK(RecordChanges(call, changes));
  if (face.instructions.empty() || !shown) return std::string();
  return R"(,"instructions":)" + json::Quote(face.instructions);
}

}  // namespace

Task<std::string> DiscoverResult(Call& call, const gate::Permit& permit) {
  auto described = co_await call.place.upstream->Describe(permit, call.revision, false);
  // Who still has to link an account can only be told so once the client has connected.
  if (!described && described.error().code == Errc::upstream_link_needed)
    described = UpstreamFace{
        .revisions = {}, .capabilities = R"({"tools":{}})", .info = {}, .instructions = {}};
  if (!described) co_return std::unexpected(described.error());
  UpstreamFace face = std::move(*described);
  if (face.info.empty()) face.info = R"({"name":"upstream","version":"unknown"})";
  SALLYPORT_CO_TRY(const std::string instructions, Instructions(call, face));
  std::string out;
  if (call.modern()) {
    out = R"({"resultType":"complete","supportedVersions":[")" +
          std::string(RevisionName(Revision::r2026_07_28)) + R"("],"capabilities":)" +
          Capabilities(face.capabilities, true, call.front.options.gate.desk() != nullptr) +
          instructions + R"(,"ttlMs":0,"cacheScope":"private","_meta":{")" +
          std::string(kMetaServerInfo) + R"(":)" + face.info + "}}";
    co_return out;
  }
  out = R"({"protocolVersion":")" + std::string(RevisionName(call.revision)) +
        R"(","capabilities":)" + Capabilities(face.capabilities, false, false) +
        R"(,"serverInfo":)" + face.info + instructions + '}';
  co_return out;
}

}  // namespace sallyport::mcp
