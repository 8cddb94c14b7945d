#include <algorithm>
#include <arpa/inet.h>
#include <array>
#include <map>

#include "export/format.h"
#include "ledger/object_writer.h"

// OCSF 1.8.0, https://schema.ocsf.io/1.8.0; which entry becomes which class: docs/siem.md.

namespace sallyport::exporting {
namespace {

using json::Value;
using ledger::ObjectWriter;

constexpr int kOther = 99;

enum Class : int {
  kBase = 0,
  kEventLog = 1008,
  kFinding = 2006,
  kAccountChange = 3001,
  kAuthentication = 3002,
  kAuthorizeSession = 3003,
  kUserAccess = 3005,
  kApplication = 6002,
  kApi = 6003,
  kDatastore = 6005
};

struct Kind {
  std::string_view event;
  int class_uid;
  int activity;
  std::string_view name = {};  // of activity 99
};

constexpr std::array kKinds{
    Kind{"log.init", kEventLog, 9},
    Kind{"log.start", kEventLog, 6},
    Kind{"log.stop", kEventLog, 7},
    Kind{"log.recovered", kEventLog, 8},
    Kind{"log.failed", kEventLog, 10},
    Kind{"log.heartbeat", kEventLog, kOther, "Heartbeat"},
    Kind{"evidence.read", kEventLog, kOther, "Read"},
    Kind{"recording.held", kEventLog, kOther, "Recording held"},
    Kind{"recording.released", kEventLog, kOther, "Recording released"},
    Kind{"recording.exported", kEventLog, 3},
    Kind{"card.looked_up", kEventLog, kOther, "Card looked up"},
    Kind{"review.made", kEventLog, kOther, "Review made"},
    Kind{"review.signed", kEventLog, kOther, "Review signed"},
    Kind{"drill.made", kEventLog, kOther, "Drill made"},
    Kind{"delivery.reported", kEventLog, kOther, "Delivery reported"},
    Kind{"key.created", kApplication, kOther, "Key created"},
    Kind{"key.rotated", kApplication, kOther, "Key rotated"},
    Kind{"key.destroyed", kApplication, kOther, "Key destroyed"},
    Kind{"policy.adopted", kApplication, 8},
    Kind{"integrity.checked", kApplication, kOther, "Integrity checked"},
    Kind{"scan.made", kApplication, kOther, "Scan made"},
    Kind{"bypass.found", kApplication, kOther, "Bypass found"},
    Kind{"config.loaded", kApplication, 8},
    Kind{"config.refused", kApplication, 8},
    Kind{"control.failed", kApplication, kOther, "Control failed"},
    Kind{"control.restored", kApplication, kOther, "Control restored"},
    Kind{"clock.stepped", kApplication, kOther, "Clock stepped"},
    Kind{"tool.pinned", kApplication, kOther, "Tool pinned"},
    Kind{"tool.changed", kApplication, kOther, "Tool changed"},
    Kind{"auth.success", kAuthentication, 1},
    Kind{"auth.failure", kAuthentication, 1},
    Kind{"session.opened", kAuthentication, 1},
    Kind{"session.close", kAuthentication, 2},
    Kind{"session.killed", kAuthentication, 2},
    Kind{"session.locked", kAccountChange, 9},
    Kind{"session.unlocked", kAccountChange, 12},
    Kind{"signal.received", kAccountChange, kOther, "Signal"},
    Kind{"passkey.registered", kAccountChange, 10},
    Kind{"passkey.removed", kAccountChange, 11},
    Kind{"consent.decided", kAuthorizeSession, 1},
    Kind{"approval.redeemed", kAuthorizeSession, 1},
    Kind{"approval.requested", kUserAccess, kOther, "Request"},
    Kind{"approval.notified", kUserAccess, kOther, "Notify"},
    Kind{"approval.viewed", kUserAccess, kOther, "View"},
    Kind{"approval.decided", kUserAccess, 1},
    Kind{"approval.expired", kUserAccess, 2},
    Kind{"approval.withdrawn", kUserAccess, 2},
    Kind{"upstream.linked", kUserAccess, 1},
    Kind{"upstream.unlinked", kUserAccess, 2},
    Kind{"upstream.refresh_failed", kUserAccess, kOther, "Refresh failed"},
    Kind{"column.found", kFinding, 1},
    Kind{"request.refused", kApi, kOther, "Refused"},
};

Kind KindOf(const Facts& f) {
  if (f.call() && (f.reason == "sad-refused" || f.reason == "mask-failed"))
    return {f.event, kFinding, 1};
  if (f.call() && f.sql()) return {f.event, kDatastore, 4};
  if (f.call()) {
    const bool reads = f.method.ends_with("/list") || f.method.ends_with("/read") ||
                       f.method.ends_with("/get") || f.method.ends_with("/complete");
    return reads ? Kind{f.event, kApi, 2} : Kind{f.event, kApi, kOther, "Call"};
  }
  const auto* const known = std::ranges::find(kKinds, f.event, &Kind::event);
  if (known == kKinds.end()) return {f.event, kBase, 0};
  Kind kind = *known;
  if (f.event == "request.refused" && f.sql()) kind.class_uid = kDatastore;
  if (f.event == "evidence.read" && f.method == "audit export") kind = {f.event, kEventLog, 3};
  if (f.event == "approval.decided" && f.approval["vote"].string() != "approve")
    kind = {f.event, kUserAccess, kOther, "Deny"};
  return kind;
}

int64_t Milliseconds(Nanos t) { return t / 1'000'000; }

/// Writes one event; a class so that its parts share what they need.
class Writer {
 public:
  Writer(const Style& style, const Event& event, const Facts& facts, Extent extent)
      : style_(style), e_(event), f_(facts), extent_(extent), kind_(KindOf(facts)) {}

  std::string Write() {
    ObjectWriter o(out_);
    o.Number("class_uid", kind_.class_uid);
    o.Number("category_uid", kind_.class_uid / 1000);
    o.Number("activity_id", kind_.activity);
    o.Text("activity_name", kind_.name);
    o.Number("type_uid", int64_t(kind_.class_uid) * 100 + kind_.activity);
    o.Number("severity_id", int(f_.severity));
    o.Number("time", Milliseconds(f_.at));
    if (extent_ != Extent::bare) o.Text("message", MessageOf(f_));
    Status(o);
    Subject(o);
    Unmapped(o);
    Metadata(o);
    o.Close();
    return std::move(out_);
  }

 private:
  bool full() const { return extent_ == Extent::full; }
  std::string_view Short(std::string_view text) const {
    return CutText(text, full() ? ObjectWriter::kMaxText : extent_ == Extent::brief ? 300 : 60);
  }

  void Metadata(ObjectWriter& o) {
    ObjectWriter m(o.Key("metadata"));
    m.Text("version", "1.8.0");
    ObjectWriter product(m.Key("product"));
    product.Text("name", "sallyport");
    product.Text("vendor_name", "sallyport");
    product.Text("version", style_.version);
    product.Close();
    m.Text("uid", UidOf(e_));
    m.Number("sequence", e_.index);
    m.Text("event_code", f_.event);
    m.Text("log_name", e_.origin);
    if (f_.at != 0) m.Text("original_time", FormatUtc(f_.at));
    if (extent_ != Extent::bare) m.Text("correlation_uid", f_.trace);
    if (Judged()) m.Key("profiles") += R"(["security_control"])";
    if (truncated_ || !full()) m.Flag("is_truncated", true);
    m.Close();
  }

  /// Whether the profile security_control applies: the gateway let something pass, or did not.
  bool Judged() const {
    return f_.event == "call.intent" || f_.event == "call.denied" || f_.event == "request.refused";
  }

  void Status(ObjectWriter& o) {
    if (kind_.class_uid == kFinding) {
      o.Number("status_id", 1);  // new
    } else if (f_.ok) {
      o.Number("status_id", *f_.ok ? 1 : 2);
    }
    if (extent_ == Extent::bare) return;
    o.Text("status_code", Short(f_.reason.empty() ? f_.code : f_.reason));
    o.Text("status_detail", Short(f_.detail));
    if (f_.duration_us) o.Number("duration", *f_.duration_us / 1000);
    if (f_.count && *f_.count > 0) o.Number("count", *f_.count);
    if (!Judged()) return;
    const bool let_in = f_.event == "call.intent";
    o.Number("action_id", let_in ? 1 : 2);
    o.Number("disposition_id", let_in ? 1 : 2);
  }

  void Subject(ObjectWriter& o) {
    switch (kind_.class_uid) {
      case kDatastore:
        Actor(o);
        Source(o);
        Database(o);
        Query(o);
        break;
      case kApi:
        Actor(o);
        Source(o);
        Api(o);
        break;
      case kAuthentication:
        Service(o);
        Session(o);
        [[fallthrough]];
      case kAccountChange:
        WriteUser(o, f_.who);
        Decider(o);
        Source(o);
        break;
      case kAuthorizeSession:
      case kUserAccess:
        WriteUser(o, f_.who);
        Privileges(o);
        Decider(o);
        Source(o);
        break;
      case kEventLog:
        o.Text("log_name", e_.origin);
        o.Text("log_provider", "sallyport");
        o.Number("log_type_id", 2);
        if (f_.event == "evidence.read" && !f_.detail.empty()) Reader(o);
        break;
      case kApplication: {
        ObjectWriter app(o.Key("app"));
        app.Text("name", "sallyport");
        app.Text("vendor_name", "sallyport");
        app.Text("version", style_.version);
        app.Close();
        break;
      }
      case kFinding:
        Finding(o);
        break;
      default:
        break;
    }
  }

  void WriteUser(ObjectWriter& o, const Person& p) {
    ObjectWriter user(o.Key("user"));
    const bool named = bool(p);
    user.Text("name", named ? Short(p.name.empty() ? p.label() : p.name) : "unknown");
    user.Text("uid", Short(p.subject));
    user.Number("type_id", !named ? 0 : p.agent.empty() ? 1 : 4);
    if (extent_ != Extent::bare) user.Text("domain", Short(p.issuer));
    if (full() && p.groups.size() > 0) {
      std::string& list = user.Key("groups");
      list += '[';
      size_t n = 0;
      for (Value g = p.groups.first(); g && n < 100; g = g.next(), ++n) {
        if (n > 0) list += ',';
        ObjectWriter group(list);
        group.Text("name", g.string().value_or("?").empty() ? "?" : g.string().value_or("?"));
        group.Close();
      }
      list += ']';
    }
    user.Close();
  }

  void Actor(ObjectWriter& o) {
    ObjectWriter actor(o.Key("actor"));
    if (f_.who) WriteUser(actor, f_.who);
    const std::string_view program = f_.who.agent.empty() ? f_.client : f_.who.agent;
    actor.Text("app_name", program.empty() && !f_.who ? "unidentified" : Short(program));
    if (extent_ != Extent::bare) {
      actor.Text("app_uid", Short(f_.who.client));
      Session(actor);
      if (!f_.who.provider.empty()) {
        ObjectWriter idp(actor.Key("idp"));
        idp.Text("name", Short(f_.who.provider));
        idp.Close();
      }
      Authorization(actor);
    }
    actor.Close();
  }

  void Authorization(ObjectWriter& o) {
    const auto rule = f_.rules.first().string().value_or("");
    if (f_.verdict.empty() || rule.empty()) return;
    std::string& list = o.Key("authorizations");
    list += '[';
    ObjectWriter one(list);
    one.Text("decision", f_.verdict);
    ObjectWriter policy(one.Key("policy"));
    policy.Text("name", Short(rule));
    policy.Text("version", f_.policy_version);
    policy.Close();
    one.Close();
    list += ']';
  }

  void Session(ObjectWriter& o) {
    if (f_.session_id.empty()) return;
    ObjectWriter session(o.Key("session"));
    session.Text("uid", Short(f_.session_id));
    session.Text("issuer", e_.origin);
    if (f_.expires > 0) session.Number("expiration_time", Milliseconds(f_.expires));
    session.Close();
  }

  void Source(ObjectWriter& o) {
    ObjectWriter source(o.Key("src_endpoint"));
    unsigned char address[16];
    const std::string text(Short(f_.address));
    const bool ip = inet_pton(AF_INET, text.c_str(), address) == 1 ||
                    inet_pton(AF_INET6, text.c_str(), address) == 1;
    source.Text(ip ? "ip" : "name", text.empty() ? "unknown" : text);
    source.Close();
  }

  void Service(ObjectWriter& o) {
    ObjectWriter service(o.Key("service"));
    service.Text("name", f_.connection.empty() ? "sallyport" : Short(f_.connection));
    service.Close();
  }

  void Database(ObjectWriter& o) {
    ObjectWriter database(o.Key("database"));
    database.Text("name", f_.connection.empty() ? "unknown" : Short(f_.connection));
    database.Text("uid", Short(f_.resource));
    database.Number("type_id", 1);
    database.Close();
  }

  void Query(ObjectWriter& o) {
    truncated_ |= f_.request_cut;
    if (f_.statement.empty() || !full()) return;
    const std::string_view shown = CutText(f_.statement, kMostAsked);
    truncated_ |= shown.size() != f_.statement.size();
    ObjectWriter query(o.Key("query_info"));
    json::AppendString(query.Key("query_string"), shown);
    query.Text("uid", f_.decision_id.empty() ? UidOf(e_) : f_.decision_id);
    query.Close();
  }

  void Api(ObjectWriter& o) {
    ObjectWriter api(o.Key("api"));
    std::string operation(f_.method.empty() ? f_.event : Short(f_.method));
    if (!f_.resource.empty()) operation += " " + std::string(Short(f_.resource));
    api.Text("operation", operation);
    ObjectWriter request(api.Key("request"));
    request.Text("uid", f_.decision_id.empty() ? UidOf(e_) : f_.decision_id);
    truncated_ |= f_.request_cut;
    if (full() && f_.arguments) {
      truncated_ |= f_.arguments.raw().size() > kMostAsked;
      if (f_.arguments.raw().size() <= kMostAsked) request.Key("data") += f_.arguments.raw();
    }
    request.Close();
    if (!f_.connection.empty()) Service(api);
    api.Close();
  }

  void Privileges(ObjectWriter& o) {
    std::string what(Short(f_.resource.empty() ? f_.method : f_.resource));
    if (what.empty()) what = "session";
    if (!f_.connection.empty()) what = std::string(Short(f_.connection)) + ": " + what;
    o.Texts("privileges", {what});
  }

  void Decider(ObjectWriter& o) {
    if (f_.by_name.empty()) return;
    ObjectWriter actor(o.Key("actor"));
    if (f_.by) {
      WriteUser(actor, f_.by);
    } else {
      actor.Text("app_name", Short(f_.by_name));
    }
    actor.Close();
  }

  void Reader(ObjectWriter& o) {
    ObjectWriter actor(o.Key("actor"));
    ObjectWriter user(actor.Key("user"));
    user.Text("name", Short(f_.detail));
    user.Close();
    actor.Text("app_name", f_.method.empty() ? "sallyport" : Short(f_.method));
    actor.Close();
  }

  void Finding(ObjectWriter& o) {
    const bool column = f_.event == "column.found";
    ObjectWriter info(o.Key("finding_info"));
    info.Text("uid", UidOf(e_));
    info.Text("title", column ? "Card numbers in a column that is not classified"
                              : "Card data that could not be let through");
    info.Number("created_time", Milliseconds(f_.at));
    info.Texts("types", {"Cardholder data"});
    info.Close();
    ObjectWriter data(o.Key("data_security"));
    data.Number("category_id", 3);           // financial
    data.Number("detection_system_id", 10);  // application-level DLP
    data.Text("detection_pattern", column ? "pan" : f_.reason == "sad-refused" ? "sad" : "unknown");
    if (column && f_.count) data.Number("total", *f_.count);
    data.Close();
    if (column) {
      Database(o);
      ObjectWriter table(o.Key("table"));
      table.Text("name", f_.resource.empty() ? "unknown" : Short(f_.resource));
      table.Close();
    } else {
      Actor(o);
    }
    Source(o);
  }

  /// What OCSF has no place for; docs/siem.md has the list.
  void Unmapped(ObjectWriter& o) {
    ObjectWriter u(o.Key("unmapped"));
    u.Text("origin", e_.origin);
    u.Number("index", e_.index);
    u.Text("leaf_hash", e_.leaf);
    u.Text("event", f_.event);
    if (extent_ != Extent::bare) {
      if (f_.session_index) u.Number("session_index", *f_.session_index);
      if (f_.operation) u.Number("operation", *f_.operation);
      if (f_.intent) u.Number("intent", *f_.intent);
      u.Text("front_end", Short(f_.front_end));
      u.Text("protocol", Short(f_.protocol));
      u.Text("login", Short(f_.login));
      u.Text("owner", Short(f_.who.owner));
      u.Text("decision_id", Short(f_.decision_id));
      u.Text("verdict", Short(f_.verdict));
      u.Text("policy_version", Short(f_.policy_version));
      u.Text("approval_id", Short(f_.approval_id));
      u.Text("purpose", Short(f_.purpose));
      u.Text("limits", Short(f_.limits));
      u.Text("by", Short(f_.by_name));
    }
    if (full()) {
      Rules(u);
      Masked(u);
      if (f_.unmask) u.Key("unmask") += f_.unmask.raw();
      if (f_.request_cut) u.Flag("request_complete", false);
    }
    u.Close();
  }

  void Rules(ObjectWriter& u) {
    if (f_.rules.size() == 0) return;
    std::vector<std::string> rules;
    for (Value r = f_.rules.first(); r && rules.size() < 100; r = r.next())
      rules.emplace_back(r.string().value_or("?"));
    u.Texts("rules", rules);
  }

  void Masked(ObjectWriter& u) {
    if (f_.masked.size() == 0) return;
    std::map<std::string, int64_t, std::less<>> sums;
    for (Value m = f_.masked.first(); m && sums.size() < 100; m = m.next())
      sums[std::string(CutText(m["k"].string().value_or("?"), 100))] +=
          m["n"].integer().value_or(1);
    std::string& list = u.Key("masked");
    list += '{';
    for (const auto& [kind, count] : sums) {
      if (list.back() != '{') list += ',';
      json::AppendString(list, kind);
      list += ':' + std::to_string(count);
    }
    list += '}';
  }

  const Style& style_;
  const Event& e_;
  const Facts& f_;
  const Extent extent_;
  const Kind kind_;
  bool truncated_ = false;
  std::string out_;
};

}  // namespace

std::string RenderOcsf(const Style& style, const Event& event, const Facts& facts, Extent extent) {
  return Writer(style, event, facts, extent).Write();
}

}  // namespace sallyport::exporting
