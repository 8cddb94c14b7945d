#include <algorithm>

#include "base/bytes.h"
#include "export/format.h"
#include "export/otlp_client.h"
#include "ledger/object_writer.h"

// The end of an operation as a span of the OpenTelemetry Protocol. Names and attributes are those
// of the semantic conventions for MCP (server) and for database clients; what was asked for and
// what came back are no attributes.

namespace sallyport::exporting {
namespace {

using ledger::ObjectWriter;

enum SpanKind : int { kServer = 2, kClient = 3 };  // trace.proto
constexpr int kStatusError = 2;

/// A class of errors, never words: a reason code, a JSON-RPC code, an SQLSTATE.
std::string ErrorType(const Facts& f) {
  if (f.ok.value_or(true)) return {};
  if (!f.reason.empty()) return std::string(f.reason);
  if (f.code == "tool-error") return "tool_error";
  return f.code.empty() ? "_OTHER" : std::string(CutText(f.code, 64));
}

bool IsNumber(std::string_view text) {
  if (text.starts_with('-')) text.remove_prefix(1);
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

void Mcp(std::string& list, const Facts& f) {
  AppendAttribute(list, "mcp.method.name", f.method);
  if (!f.session_id.empty()) AppendAttribute(list, "mcp.session.id", f.session_id);
  if (!f.protocol.empty()) AppendAttribute(list, "mcp.protocol.version", f.protocol);
  if (f.method == "tools/call") {
    AppendAttribute(list, "gen_ai.operation.name", "execute_tool");
    AppendAttribute(list, "gen_ai.tool.name", CutText(f.resource, 256));
  } else if (f.method == "prompts/get") {
    AppendAttribute(list, "gen_ai.prompt.name", CutText(f.resource, 256));
  } else if (f.method.starts_with("resources/") && !f.resource.empty()) {
    AppendAttribute(list, "mcp.resource.uri", CutText(f.resource, 1000));
  }
  if (IsNumber(f.code)) AppendAttribute(list, "rpc.response.status_code", f.code);
  AppendAttribute(list, "network.transport", "tcp");
}

void Database(std::string& list, const Facts& f) {
  AppendAttribute(list, "db.system.name", "postgresql");
  AppendAttribute(list, "db.namespace", f.connection);
  if (!f.code.empty()) AppendAttribute(list, "db.response.status_code", CutText(f.code, 16));
}

std::string Attributes(const Event& event, const Facts& f) {
  std::string list = "[";
  if (f.sql())
    Database(list, f);
  else
    Mcp(list, f);
  if (const std::string error = ErrorType(f); !error.empty())
    AppendAttribute(list, "error.type", error);
  if (!f.who.subject.empty()) AppendAttribute(list, "user.id", CutText(f.who.subject, 256));
  if (!f.who.agent.empty()) AppendAttribute(list, "gen_ai.agent.name", CutText(f.who.agent, 256));
  if (!f.address.empty()) AppendAttribute(list, "client.address", f.address);
  AppendAttribute(list, "sallyport.connection", f.connection);
  const std::string_view decision =
      f.verdict.empty() && event.intent != nullptr
          ? event.intent->document.root()["x"].string().value_or(std::string_view())
          : f.verdict;
  if (!decision.empty()) AppendAttribute(list, "sallyport.decision", decision);
  if (!f.decision_id.empty()) AppendAttribute(list, "sallyport.decision.id", f.decision_id);
  int64_t masked = 0;
  for (json::Value m = f.masked.first(); m; m = m.next()) masked += m["n"].integer().value_or(0);
  if (masked > 0) AppendAttribute(list, "sallyport.masked", masked);
  AppendAttribute(list, "sallyport.log.origin", event.origin);
  AppendAttribute(list, "sallyport.log.index", int64_t(event.index));
  AppendAttribute(list, "sallyport.log.leaf_hash", event.leaf);
  return list + "]";
}

}  // namespace

std::string RenderSpan(const Event& event, const Facts& f) {
  const bool ends =
      f.event == "call.outcome" || f.event == "call.abandoned" || f.event == "call.denied";
  const auto leaf = Base64Decode(event.leaf);
  if (!ends || f.at <= 0 || f.method.empty() || !leaf || leaf->size() < 32) return {};
  const std::string hash = HexEncode(*leaf);
  std::string out;
  ObjectWriter o(out);
  o.Text("traceId", IsTraceId(f.trace) ? f.trace : std::string_view(hash).substr(32, 32));
  o.Text("spanId", std::string_view(hash).substr(0, 16));
  std::string name(CutText(f.method, 100));
  if (f.sql())
    name.append(" ").append(f.connection);
  else if (f.method == "tools/call" || f.method == "prompts/get")
    name.append(" ").append(CutText(f.resource, 256));
  o.Text("name", name);
  o.Number("kind", f.sql() ? int(kClient) : int(kServer));
  o.Text("startTimeUnixNano", std::to_string(f.at - f.duration_us.value_or(0) * 1000));
  o.Text("endTimeUnixNano", std::to_string(f.at));
  o.Key("attributes") += Attributes(event, f);
  if (!f.ok.value_or(true)) {
    ObjectWriter status(o.Key("status"));
    status.Number("code", kStatusError);
    status.Text("message", ErrorType(f));
    status.Close();
  }
  o.Close();
  return out;
}

}  // namespace sallyport::exporting
