#include "ledger/replay.h"

#include <algorithm>
#include <cstdio>
#include <ctime>
#include <limits>
#include <map>

#include "json/document.h"
#include "ledger/render.h"

namespace sallyport::ledger {
namespace {

using json::Value;

constexpr size_t kShownBytes = 2000;  // of one payload
constexpr std::string_view kIndent = "                          ";

/// FormatUtc backwards; 0 where it is none.
int64_t ParseUtc(std::string_view text) {
  tm utc{};
  long long fraction = 0;
  const std::string owned(text);
  if (std::sscanf(owned.c_str(), "%4d-%2d-%2dT%2d:%2d:%2d.%9lldZ", &utc.tm_year, &utc.tm_mon,
                  &utc.tm_mday, &utc.tm_hour, &utc.tm_min, &utc.tm_sec, &fraction) != 7) {
    return 0;
  }
  utc.tm_year -= 1900, --utc.tm_mon;
  return int64_t{timegm(&utc)} * 1'000'000'000 + fraction;
}

std::string Text(const Value& value) { return Printable(value.string().value_or("")); }

/// Writes the timeline of one session.
class Timeline {
 public:
  explicit Timeline(std::string session) : session_(std::move(session)) {}

  void Add(const Value& event) {
    other_.clear();
    const Value session = event["session"];
    if (session["id"].string() != session_) {
      other_ = "[" + Text(event["connection"]) + ", " + Text(session["who"]["name"]) + ", " +
               Text(session["id"]) + "] ";
    }
    const std::string name(event["event"].string().value_or(""));
    if (name == "auth.success") return Opened(event);
    if (name == "call.intent") return Asked(event, Allowed(event));
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
    if (name.starts_with("approval.")) return Approval(name.substr(9), event);
    std::string what = Printable(name);
    if (const Value reason = event["decision"]["reason"]) what += " " + Text(reason);
    if (const Value detail = event["detail"]) what += " " + Text(detail);
    Line(event, "·", what);
  }

  std::string Take() { return std::move(out_); }

 private:
  static std::string Verdict(const Value& event) {
    const Value decision = event["decision"];
    if (decision["verdict"].string() != "approve") return "DENIED";
    if (decision["reason"].string() == "approval-required")
      return "needs approval " + Text(decision["approval_id"]);
    return "DENIED: " + Text(decision["reason"]);
  }
  static std::string Allowed(const Value& event) {
    const Value id = event["decision"]["approval_id"];
    return id ? "allowed by approval " + Text(id) : "allowed";
  }

  void Line(const Value& event, std::string_view mark, const std::string& what) {
    const std::string_view time = event["time"].string().value_or("");
    char head[64];
    std::snprintf(head, sizeof head, "%.12s  #%-7lld ",
                  time.size() > 23 ? time.data() + 11 : "            ",
                  static_cast<long long>(event["index"].integer().value_or(0)));
    out_ += head;
    out_ += mark;
    out_ += ' ' + other_ + what + '\n';
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
    if (session["login"]) out_ += "login   " + Text(session["login"]) + '\n';
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
    Unmask(event["unmask"]);
    Payload("asked", event["request"]);
    Masked(event["masked"]);
  }

  /// What was asked for in clear, and until when it might be shown; or what was.
  void Unmask(const Value& unmask) {
    if (!unmask) return;
    if (unmask["unmasked"]) {
      return More("in clear", std::string(unmask["unmasked"].raw()) + " values at " +
                                  std::string(unmask["places"].raw()) + " places");
    }
    std::string names;
    for (Value d = unmask["detectors"].first(); d; d = d.next())
      names += (names.empty() ? "" : ", ") + Text(d);
    std::string text = "up to " + std::string(unmask["max_values"].raw()) + " values of " + names;
    if (unmask["until"]) text += " until " + Text(unmask["until"]).substr(0, 19) + "Z";
    More("in clear", text);
  }

  void Outcome(const Value& event) {
    const Value outcome = event["outcome"];
    const double ms = double(outcome["duration_us"].integer().value_or(0)) / 1000;
    char took[48];
    std::snprintf(took, sizeof took, " in %.1f ms", ms);
    const bool ok = outcome["ok"].boolean().value_or(true);
    Line(event, "←", (ok ? "ok" : "error " + Text(outcome["code"])) + took);
    if (event["decision"]["reason"]) More("reason", Text(event["decision"]["reason"]));
    Unmask(event["unmask"]);
    Payload("saw", event["result"]);
    Masked(event["masked"]);
  }

  /// How long after the request, "2 min 5 s".
  static std::string Span(int64_t from, int64_t to) {
    const int64_t s = (to - from) / 1'000'000'000;
    char text[48];
    if (s >= 3600) {
      std::snprintf(text, sizeof text, "%lld h %lld min", static_cast<long long>(s / 3600),
                    static_cast<long long>(s / 60 % 60));
    } else if (s >= 60) {
      std::snprintf(text, sizeof text, "%lld min %lld s", static_cast<long long>(s / 60),
                    static_cast<long long>(s % 60));
    } else {
      std::snprintf(text, sizeof text, "%.1f s", double(to - from) / 1e9);
    }
    return text;
  }

  /// Request, notification, look, vote, use and end of one request for approval.
  void Approval(const std::string& what, const Value& event) {
    const Value approval = event["approval"], by = approval["by"];
    const std::string id = Text(approval["id"]);
    const bool ok = event["outcome"]["ok"].boolean().value_or(true);
    const int64_t at = ParseUtc(event["time"].string().value_or(""));
    std::string line = "approval " + id + " ";
    if (what == "requested") {
      asked_[id] = at;
      line += "asked for: " + Text(event["resource"]) + ", flow " + Text(approval["flow"]);
    } else if (what == "decided") {
      line += (approval["vote"].string() == "approve" ? "APPROVED by " : "DENIED by ") +
              Text(by["name"]) + " <" + Text(by["subject"]) + ">";
      if (!ok) line += "  vote refused: " + Text(event["decision"]["reason"]);
      if (approval["proof"]) line += "  with passkey";
    } else if (what == "viewed") {
      line += "looked at by " + Text(by["name"]) + " <" + Text(by["subject"]) + ">";
    } else if (what == "notified") {
      line += (ok ? "told to " : "could not be told to ") + Text(event["detail"]);
    } else if (what == "redeemed") {
      line += ok ? "used" : "not used after all: " + Text(event["decision"]["reason"]);
    } else {
      line += Printable(what);
      if (by) line += " by " + Text(by["name"]) + " <" + Text(by["subject"]) + ">";
      if (what == "withdrawn" && event["detail"]) line += ": " + Text(event["detail"]);
    }
    const auto asked = asked_.find(id);
    if (what != "requested" && asked != asked_.end() && at >= asked->second)
      line += "  after " + Span(asked->second, at);
    Line(event, "⧖", line);
    if (approval["reason"]) More("reason", Text(approval["reason"]));
    if (what == "requested") {
      More("digest", Text(approval["digest"]));
      Payload("asked", event["request"]);
    }
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
    const Value recording = payload["recording"];
    if (recording["sealed"]) text = "[sealed: give --config or --kek]";
    if (recording["destroyed"]) text = "[its key was destroyed]";
    if (recording["damaged"]) text = "[DAMAGED: " + Text(recording["damaged"]) + "]";
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

  const std::string session_;
  std::string other_;  // of an event of another session: which
  std::string out_;
  std::map<std::string, int64_t> asked_;  // request for approval → when
};

std::string CastHeader(const std::string& session, int64_t began) {
  std::string line = R"({"version":2,"width":140,"height":40,"timestamp":)" +
                     std::to_string(began / 1'000'000'000) + R"(,"idle_time_limit":2,"title":)";
  json::AppendString(line, "sallyport session " + session);
  return line + "}\n";
}

/// One event of output, `after` nanoseconds from the beginning.
void AppendCast(std::string& lines, int64_t after, std::string_view text) {
  std::string shown;
  for (const char c : text) {
    if (c == '\n') shown += '\r';
    shown += c;
  }
  char time[40];
  std::snprintf(time, sizeof time, "[%.6f,\"o\",", double(std::max<int64_t>(after, 0)) / 1e9);
  lines += time;
  json::AppendString(lines, shown);
  lines += "]\n";
}

}  // namespace

Result<std::vector<Found>> ReplaySession(const std::filesystem::path& data_dir,
                                         const std::string& session) {
  SearchCriteria criteria;
  criteria.session = session;
  criteria.with_caused = true;
  criteria.limit = std::numeric_limits<uint64_t>::max();
  SALLYPORT_TRY(std::vector<Found> found, Search(data_dir, criteria));
  if (found.empty()) return Fail(Errc::not_found, "the log has no session " + Printable(session));
  return found;
}

Result<std::string> RenderReplay(const std::filesystem::path& data_dir, const std::string& session,
                                 ReplayFormat format) {
  SALLYPORT_TRY(const std::vector<Found> events, ReplaySession(data_dir, session));
  return RenderReplay(events, session, format);
}

Result<std::string> RenderReplay(const std::vector<Found>& events, const std::string& session,
                                 ReplayFormat format) {
  std::string lines;
  Timeline timeline(session);
  int64_t began = 0;
  for (const Found& event : events) {
    if (format == ReplayFormat::jsonl) {
      lines += event.json + '\n';
      continue;
    }
    SALLYPORT_TRY(const json::Document document,
                  json::Document::Parse(event.json, {.max_bytes = 256 << 20, .max_depth = 520, .max_nodes = 1u << 26}));
    timeline.Add(document.root());
    if (format != ReplayFormat::cast) continue;
    const int64_t at = ParseUtc(document.root()["time"].string().value_or(""));
    if (lines.empty()) lines = CastHeader(session, began = at);
    AppendCast(lines, at - began, timeline.Take());
  }
  return format == ReplayFormat::text ? timeline.Take() : lines;
}

}  // namespace sallyport::ledger
