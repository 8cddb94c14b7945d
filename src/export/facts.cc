#include "export/facts.h"

#include <algorithm>
#include <array>

namespace sallyport::exporting {
namespace {

using json::Value;

std::string_view Text(const Value& value) { return value.string().value_or(std::string_view()); }

/// Beyond `informational`.
Severity SeverityOf(const Facts& f, const Event& e) {
  struct Row {
    std::string_view event;
    Severity severity;
  };
  static constexpr std::array<Row, 27> kRows{{
      {"log.recovered", Severity::medium},    {"log.failed", Severity::fatal},
      {"config.refused", Severity::medium},   {"auth.failure", Severity::low},
      {"request.refused", Severity::low},     {"session.killed", Severity::medium},
      {"signal.received", Severity::low},     {"call.denied", Severity::medium},
      {"call.abandoned", Severity::low},      {"tool.changed", Severity::high},
      {"column.found", Severity::high},       {"passkey.removed", Severity::medium},
      {"passkey.registered", Severity::low},  {"approval.redeemed", Severity::low},
      {"approval.decided", Severity::low},    {"consent.decided", Severity::low},
      {"evidence.read", Severity::low},       {"log.init", Severity::informational},
      {"log.start", Severity::informational}, {"control.failed", Severity::high},
      {"clock.stepped", Severity::medium},    {"bypass.found", Severity::high},
      {"key.destroyed", Severity::medium},    {"recording.exported", Severity::low},
      {"card.looked_up", Severity::medium},   {"policy.adopted", Severity::low},
      {"key.rotated", Severity::low},
  }};
  if (e.entry == nullptr) return Severity::high;  // the log holds what is no entry of ours
  if (f.reason == "sad-refused" || f.reason == "mask-failed") return Severity::high;
  if (f.reason == "approval-required") return Severity::informational;
  if (f.unmask && f.event == "call.outcome") return Severity::medium;
  const bool finds = f.event == "scan.made" || f.event == "drill.made" ||
                     f.event == "integrity.checked" || f.event == "delivery.reported";
  if (finds && f.ok == false) return Severity::high;
  const auto row = std::ranges::find(kRows, f.event, &Row::event);
  if (row != kRows.end()) return row->severity;
  return f.ok == false ? Severity::low : Severity::informational;
}

/// As the names of events are, also those of later versions.
bool IsName(std::string_view text) {
  return text.size() <= 64 && std::ranges::all_of(text, [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '.' || c == '_';
         });
}

bool Fails(std::string_view event) {
  return event == "call.denied" || event == "auth.failure" || event == "request.refused" ||
         event == "config.refused" || event == "log.failed" || event == "call.abandoned" ||
         event == "control.failed";
}

}  // namespace

Person::Person(Value who)
    : issuer(Text(who["iss"])),
      subject(Text(who["sub"])),
      name(Text(who["name"])),
      provider(Text(who["idp"])),
      client(Text(who["client"])),
      agent(Text(who["agent"])),
      owner(Text(who["owner"])),
      token_class(Text(who["class"])),
      groups(who["groups"]) {}

std::string_view Person::label() const {
  if (!agent.empty()) return agent;
  return name.empty() ? subject : name;
}

Facts::Facts(const Event& e) : event("unreadable") {
  if (e.entry == nullptr) {
    severity = SeverityOf(*this, e);
    return;
  }
  const Value root = e.entry->document.root();
  const Value opened = root["who"] ? root : e.session ? e.session->document.root() : Value();
  const Value about = e.intent ? e.intent->document.root() : root;
  event = IsName(e.entry->event) ? std::string_view(e.entry->event) : "other";
  at = e.entry->at;
  access = root["acc"];
  approval = root["ap"];
  unmask = root["um"];
  masked = root["mask"];
  rules = root["rules"];
  who = Person(opened["who"]);
  if (!who && access["who"]) who = Person(access["who"]);
  if (approval["by"]) by = Person(approval["by"]);
  by_name = by ? by.label() : Text(access["by"]);
  session_id = opened ? Text(opened["sid"]) : Text(access["sid"]);
  login = Text(opened["lg"]);
  expires = opened["who"]["exp"].integer().value_or(0);
  address = opened["from"] ? Text(opened["from"]) : Text(root["from"]);
  client = Text(opened["ua"]);
  front_end = Text(opened["fe"]);
  protocol = Text(opened["pv"]);
  connection = Text(about["c"]);
  method = root["m"] ? Text(root["m"]) : Text(about["m"]);
  resource = Text(about["r"]);
  trace = Text(about["tr"]);
  decision_id = Text(about["d"]);
  verdict = Text(root["x"]);
  policy_version = Text(root["p"]);
  reason = Text(root["why"]);
  approval_id = Text(root["a"]);
  code = Text(root["code"]);
  detail = Text(root["detail"]);
  purpose = Text(access["why"]);
  limits = Text(access["lim"]);
  const Value request = root["req"];
  request_cut = bool(request["cut"]);
  arguments = request["json"];
  if (sql()) statement = Text(arguments["sql"]);
  if (statement.empty()) statement = Text(request["text"]);
  if (e.entry->has_session) session_index = int64_t(e.entry->session);
  if (root["who"]) session_index = int64_t(e.index);
  operation = about["n"].integer();
  intent = root["i"].integer();
  duration_us = root["us"].integer();
  count = root["count"].integer();
  if (root["ok"])
    ok = root["ok"].boolean();
  else if (Fails(event))
    ok = false;
  else if (event != "call.intent" && event != "call.event" && event != "unreadable")
    ok = true;
  severity = SeverityOf(*this, e);
}

std::string UidOf(const Event& event) {
  return std::string(event.origin) + ":" + std::to_string(event.index);
}

std::string MessageOf(const Facts& f) {
  std::string out(f.event);
  const std::string_view name = f.who.label();
  for (const std::string_view part : {name, f.connection, f.method, f.resource}) {
    if (!part.empty()) out.append(" ").append(CutText(part, 200));
  }
  const std::string_view why = f.reason.empty() ? f.detail : f.reason;
  if (!why.empty()) out.append(": ").append(CutText(why, 500));
  return out;
}

void KeepOneLine(std::string& json) {
  const auto suspicious = [](unsigned char c) {
    return c < 0x20 || c == 0x7f || c == 0xc2 || c == 0xe2;
  };
  if (std::ranges::none_of(json, suspicious)) return;
  std::string out;
  out.reserve(json.size() + 32);
  for (size_t i = 0; i < json.size(); ++i) {
    const auto at = [&](size_t k) {
      return k < json.size() ? static_cast<unsigned char>(json[k]) : 0u;
    };
    const unsigned c = at(i);
    if (c < 0x20) {
      out += ' ';
    } else if (c == 0x7f) {
      out += "\\u007f";
    } else if (c == 0xc2 && at(i + 1) < 0xa0) {  // C1 controls, NEL among them
      static constexpr char kHex[] = "0123456789abcdef";
      out += "\\u00";
      out += kHex[at(i + 1) >> 4];
      out += kHex[at(i + 1) & 15];
      ++i;
    } else if (c == 0xe2 && at(i + 1) == 0x80 && (at(i + 2) == 0xa8 || at(i + 2) == 0xa9)) {
      out += at(i + 2) == 0xa8 ? "\\u2028" : "\\u2029";
      i += 2;
    } else {
      out += json[i];
    }
  }
  json = std::move(out);
}

std::string_view CutText(std::string_view text, size_t limit) {
  if (text.size() <= limit) return text;
  size_t end = limit;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end);
}

}  // namespace sallyport::exporting
