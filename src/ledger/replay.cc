#include "ledger/replay.h"

#include <cstdio>
#include <limits>

#include "json/document.h"
#include "ledger/render.h"

namespace sallyport::ledger {
namespace {

using json::Value;

constexpr size_t kShownBytes = 2000;  // of one payload
constexpr std::string_view kIndent = "                          ";

std::string Text(const Value& value) { return Printable(value.string().value_or("")); }

/// Writes the timeline of one session.
class Timeline {
 public:
  void Add(const Value& event) {
    const std::string name(event["event"].string().value_or(""));
    if (name == "auth.success") return Opened(event);
    if (name == "call.intent") return Asked(event, "allowed");
    if (name == "call.denied") return Asked(event, Verdict(event));
    if (name == "call.outcome") return Outcome(event);
    if (name == "call.abandoned") return Line(event, "←", "abandoned: no result was released");
    if (name == "call.event") {
      Line(event, "←", Text(event["method"]));
      return Payload("saw", event["result"]);
    }
    if (name == "session.close") {
      return Line(
          event, "■",
          "closed after " + std::to_string(event["count"].integer().value_or(0)) + " operations");
    }
    std::string what = Printable(name);
    if (const Value reason = event["decision"]["reason"]) what += " " + Text(reason);
    if (const Value detail = event["detail"]) what += " " + Text(detail);
    Line(event, "·", what);
  }

  std::string Take() { return std::move(out_); }

 private:
  static std::string Verdict(const Value& event) {
    return event["decision"]["verdict"].string() == "approve" ? "needs approval" : "DENIED";
  }

  void Line(const Value& event, std::string_view mark, const std::string& what) {
    const std::string_view time = event["time"].string().value_or("");
    char head[64];
    std::snprintf(head, sizeof head, "%.12s  #%-7lld ",
                  time.size() > 23 ? time.data() + 11 : "            ",
                  static_cast<long long>(event["index"].integer().value_or(0)));
    out_ += head;
    out_ += mark;
    out_ += ' ' + what + '\n';
  }
  void More(std::string_view label, const std::string& text) {
    out_ += kIndent;
    out_ += label;
    out_.append(label.size() < 9 ? 9 - label.size() : 1, ' ');
    out_ += text + '\n';
  }

  void Opened(const Value& event) {
    const Value session = event["session"], who = session["who"];
    out_ += "session " + Text(session["id"]) + " on connection " + Text(event["connection"]) +
            " (" + Text(session["front_end"]) + " " + Text(session["protocol"]) + "), " +
            Text(event["time"]) + '\n';
    out_ += "who     " + Text(who["name"]) + " <" + Text(who["subject"]) + " at " +
            Text(who["issuer"]) + ">\n";
    if (who["agent"])
      out_ += "agent   " + Text(who["agent"]) + ", owned by " + Text(who["owner"]) + '\n';
    std::string groups;
    for (Value g = who["groups"].first(); g; g = g.next())
      groups += (groups.empty() ? "" : ", ") + Text(g);
    if (!groups.empty()) out_ += "groups  " + groups + '\n';
    out_ += "from    " + Text(session["from"]["address"]);
    if (session["from"]["client"]) out_ += " (" + Text(session["from"]["client"]) + ")";
    out_ += "\n\n";
  }

  void Asked(const Value& event, const std::string& verdict) {
    Line(event, event["event"].string() == "call.intent" ? "→" : "✗",
         Text(event["method"]) + " " + Text(event["resource"]) + "  " + verdict);
    std::string why;
    for (Value r = event["decision"]["rules"].first(); r; r = r.next())
      why += (why.empty() ? "by " : ", ") + Text(r);
    if (event["decision"]["reason"])
      why += (why.empty() ? "" : ", ") + Text(event["decision"]["reason"]);
    if (event["decision"]["policy_version"])
      why += "  (policy " + Text(event["decision"]["policy_version"]) + ")";
    if (!why.empty()) More("rule", why);
    Payload("asked", event["request"]);
    Masked(event["masked"]);
  }

  void Outcome(const Value& event) {
    const Value outcome = event["outcome"];
    const double ms = double(outcome["duration_us"].integer().value_or(0)) / 1000;
    char took[48];
    std::snprintf(took, sizeof took, " in %.1f ms", ms);
    const bool ok = outcome["ok"].boolean().value_or(true);
    Line(event, "←", (ok ? "ok" : "error " + Text(outcome["code"])) + took);
    if (event["decision"]["reason"]) More("reason", Text(event["decision"]["reason"]));
    Payload("saw", event["result"]);
    Masked(event["masked"]);
  }

  void Payload(std::string_view label, const Value& payload) {
    if (!payload) return;
    std::string text = payload["json"] ? std::string(payload["json"].raw())
                                       : std::string(payload["text"].string().value_or(""));
    const bool cut = text.size() > kShownBytes;
    if (cut) {
      size_t end = kShownBytes;
      while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
      text.resize(end);
    }
    text = Printable(text);
    const std::string total = std::to_string(payload["bytes"].integer().value_or(0)) + " bytes";
    if (payload["complete"].boolean() == false) {
      text += (text.empty() ? "" : " ") + ("[" + total + ", not recorded in full]");
    } else if (cut) {
      text += " [… " + total + ", in full with --format jsonl]";
    }
    if (!text.empty()) More(label, text);
  }

  void Masked(const Value& masked) {
    std::string text;
    for (Value m = masked.first(); m; m = m.next()) {
      if (!text.empty()) text += ", ";
      text += std::to_string(m["count"].integer().value_or(0)) + " " + Text(m["kind"]);
      if (m["place"]) text += " at " + Text(m["place"]);
    }
    if (!text.empty()) More("masked", text);
  }

  std::string out_;
};

}  // namespace

Result<std::vector<Found>> ReplaySession(const std::filesystem::path& data_dir,
                                         const std::string& session) {
  SearchCriteria criteria;
  criteria.session = session;
  criteria.limit = std::numeric_limits<uint64_t>::max();
  SALLYPORT_TRY(std::vector<Found> found, Search(data_dir, criteria));
  if (found.empty()) return Fail(Errc::not_found, "the log has no session " + Printable(session));
  return found;
}

Result<std::string> RenderReplay(const std::filesystem::path& data_dir, const std::string& session,
                                 ReplayFormat format) {
  SALLYPORT_TRY(const std::vector<Found> events, ReplaySession(data_dir, session));
  std::string lines;
  Timeline timeline;
  for (const Found& event : events) {
    if (format == ReplayFormat::jsonl) {
      lines += event.json + '\n';
      continue;
    }
    SALLYPORT_TRY(const json::Document document,
                  json::Document::Parse(event.json, {.max_bytes = 1 << 20, .max_depth = 520}));
    timeline.Add(document.root());
  }
  return format == ReplayFormat::jsonl ? lines : timeline.Take();
}

}  // namespace sallyport::ledger
