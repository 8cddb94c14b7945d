#include <algorithm>
#include <arpa/inet.h>
#include <array>

#include "export/format.h"
#include "ledger/object_writer.h"

// Elastic Common Schema 8.17: event, user, source, rule, service and others; what it has no field
// for stands in `sallyport`.

namespace sallyport::exporting {
namespace {

using json::Value;
using ledger::ObjectWriter;

/// event.category and event.type, as JSON.
struct Kind {
  std::string_view begins;  // of the event's name
  std::string_view category, type;
};

constexpr std::array kKinds{
    Kind{"log.start", R"(["configuration"])", R"(["start"])"},
    Kind{"log.stop", R"(["configuration"])", R"(["end"])"},
    Kind{"log.failed", R"(["configuration"])", R"(["error"])"},
    Kind{"log.", R"(["configuration"])", R"(["info"])"},
    Kind{"config.", R"(["configuration"])", R"(["change"])"},
    Kind{"control.failed", R"(["configuration"])", R"(["error"])"},
    Kind{"control.", R"(["configuration"])", R"(["info"])"},
    Kind{"clock.", R"(["configuration"])", R"(["change"])"},
    Kind{"upstream.", R"(["iam"])", R"(["user","change"])"},
    Kind{"auth.", R"(["authentication"])", R"(["start"])"},
    Kind{"session.opened", R"(["authentication","session"])", R"(["start"])"},
    Kind{"session.close", R"(["session"])", R"(["end"])"},
    Kind{"session.killed", R"(["session"])", R"(["end"])"},
    Kind{"session.", R"(["session"])", R"(["change"])"},
    Kind{"consent.", R"(["iam"])", R"(["user","change"])"},
    Kind{"signal.", R"(["iam"])", R"(["user","info"])"},
    Kind{"passkey.registered", R"(["iam"])", R"(["user","creation"])"},
    Kind{"passkey.removed", R"(["iam"])", R"(["user","deletion"])"},
    Kind{"approval.", R"(["iam"])", R"(["user","info"])"},
    Kind{"request.refused", R"(["api"])", R"(["denied"])"},
    Kind{"tool.changed", R"(["configuration"])", R"(["change"])"},
    Kind{"tool.", R"(["configuration"])", R"(["info"])"},
    Kind{"column.found", R"(["database"])", R"(["info"])"},
    Kind{"evidence.read", R"(["configuration"])", R"(["access"])"},
};

std::string_view TypeOfCall(std::string_view event) {
  if (event == "call.intent") return R"(["access","allowed"])";
  if (event == "call.denied") return R"(["access","denied"])";
  if (event == "call.abandoned") return R"(["access","error"])";
  return R"(["access","info"])";
}

void WriteEvent(ObjectWriter& o, const Event& e, const Facts& f) {
  ObjectWriter event(o.Key("event"));
  const bool alert = f.severity >= Severity::high;
  event.Text("kind", alert ? "alert" : "event");
  if (f.call()) {
    event.Key("category") += f.sql() ? R"(["database"])" : R"(["api"])";
    event.Key("type") += TypeOfCall(f.event);
  } else {
    const auto* const kind =
        std::ranges::find_if(kKinds, [&](const Kind& k) { return f.event.starts_with(k.begins); });
    if (kind != kKinds.end()) {
      event.Key("category") += kind->category;
      event.Key("type") += kind->type;
    }
  }
  event.Text("action", f.event);
  event.Text("outcome", !f.ok ? "unknown" : *f.ok ? "success" : "failure");
  event.Text("module", "sallyport");
  event.Text("dataset", "sallyport.evidence");
  event.Text("id", UidOf(e));
  event.Text("hash", e.leaf);
  event.Number("sequence", e.index);
  event.Number("severity", int(f.severity));
  event.Text("reason", CutText(f.reason.empty() ? f.detail : f.reason, 1000));
  event.Text("code", CutText(f.code, 200));
  if (f.duration_us) event.Number("duration", *f.duration_us * 1000);
  event.Close();
}

void WriteUser(ObjectWriter& o, const Facts& f, Extent extent) {
  if (!f.who) return;
  ObjectWriter user(o.Key("user"));
  user.Text("id", CutText(f.who.subject, 500));
  user.Text("name", CutText(f.who.name.empty() ? f.who.label() : f.who.name, 500));
  user.Text("domain", CutText(f.who.issuer, 500));
  if (extent == Extent::full && f.who.groups.size() > 0) {
    std::vector<std::string> names;
    for (Value g = f.who.groups.first(); g && names.size() < 100; g = g.next())
      names.emplace_back(g.string().value_or("?"));
    user.Texts("roles", names);
  }
  user.Close();
}

void WriteSource(ObjectWriter& o, const Facts& f) {
  if (f.address.empty()) return;
  unsigned char bytes[16];
  const std::string text(CutText(f.address, 200));
  const bool ip =
      inet_pton(AF_INET, text.c_str(), bytes) == 1 || inet_pton(AF_INET6, text.c_str(), bytes) == 1;
  ObjectWriter source(o.Key("source"));
  source.Text("address", text);
  if (ip) source.Text("ip", text);
  source.Close();
}

void WriteRules(ObjectWriter& o, const Facts& f) {
  if (f.rules.size() == 0) return;
  std::vector<std::string> rules;
  for (Value r = f.rules.first(); r && rules.size() < 100; r = r.next())
    rules.emplace_back(r.string().value_or("?"));
  ObjectWriter rule(o.Key("rule"));
  rule.Texts("id", rules);
  rule.Text("version", f.policy_version);
  rule.Close();
}

/// What ECS has no field for.
void WriteOwn(ObjectWriter& o, const Event& e, const Facts& f, Extent extent) {
  ObjectWriter own(o.Key("sallyport"));
  own.Text("origin", e.origin);
  own.Number("index", e.index);
  own.Text("leaf_hash", e.leaf);
  const bool full = extent == Extent::full;
  bool cut = !full || f.request_cut;
  if (extent != Extent::bare) {
    own.Text("front_end", f.front_end);
    own.Text("protocol", CutText(f.protocol, 100));
    own.Text("session", CutText(f.session_id, 100));
    if (f.session_index) own.Number("session_index", *f.session_index);
    own.Text("login", CutText(f.login, 100));
    if (f.operation) own.Number("operation", *f.operation);
    if (f.intent) own.Number("intent", *f.intent);
    own.Text("connection", f.connection);
    own.Text("method", CutText(f.method, 200));
    own.Text("resource", CutText(f.resource, 1000));
    own.Text("agent", CutText(f.who.agent, 200));
    own.Text("owner", CutText(f.who.owner, 200));
    own.Text("client", CutText(f.client, 200));
    own.Text("decision_id", f.decision_id);
    own.Text("verdict", f.verdict);
    own.Text("approval_id", f.approval_id);
    own.Text("by", CutText(f.by_name, 500));
    own.Text("purpose", CutText(f.purpose, 1000));
    own.Text("limits", CutText(f.limits, 1000));
    if (f.count && *f.count > 0) own.Number("count", *f.count);
  }
  if (full) {
    const std::string_view text = !f.statement.empty() ? f.statement
                                  : f.arguments        ? f.arguments.raw()
                                                       : std::string_view();
    cut |= text.size() > kMostAsked;
    // As text: what callers send has no fields that a schema could know.
    if (!text.empty()) json::AppendString(own.Key("request"), CutText(text, kMostAsked));
    if (f.masked) own.Key("masked") += f.masked.raw();
    if (f.unmask) own.Key("unmask") += f.unmask.raw();
  }
  if (cut) own.Flag("cut", true);
  own.Close();
}

}  // namespace

std::string RenderEcs(const Style& style, const Event& e, const Facts& f, Extent extent) {
  std::string out;
  ObjectWriter o(out);
  o.Text("@timestamp", FormatUtc(f.at));
  o.Key("ecs") += R"({"version":"8.17.0"})";
  if (extent != Extent::bare) o.Text("message", MessageOf(f));
  WriteEvent(o, e, f);
  ObjectWriter observer(o.Key("observer"));
  observer.Text("vendor", "sallyport");
  observer.Text("product", "sallyport");
  observer.Text("type", "proxy");
  observer.Text("version", style.version);
  observer.Close();
  if (extent != Extent::bare) {
    WriteUser(o, f, extent);
    WriteSource(o, f);
    if (!f.connection.empty()) {
      ObjectWriter service(o.Key("service"));
      service.Text("name", f.connection);
      service.Close();
    }
    WriteRules(o, f);
    if (!f.trace.empty()) {
      ObjectWriter trace(o.Key("trace"));
      trace.Text("id", CutText(f.trace, 64));
      trace.Close();
    }
  }
  WriteOwn(o, e, f, extent);
  o.Close();
  return out;
}

}  // namespace sallyport::exporting
