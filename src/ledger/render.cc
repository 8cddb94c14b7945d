#include "ledger/render.h"

#include <algorithm>
#include <cstdio>

#include "base/clock.h"
#include "ledger/object_writer.h"

namespace sallyport::ledger {
namespace {

using json::Kind;
using json::Value;

void CopyText(ObjectWriter& out, std::string_view name, const Value& value) {
  if (const auto text = value.string()) out.Text(name, *text);
}

/// A value as it stands in the entry. Line ends in JSON stand between its tokens only: an entry
/// stays one line, also one that we did not write.
void CopyRaw(ObjectWriter& out, std::string_view name, const Value& value) {
  if (!value) return;
  std::string& to = out.Key(name);
  const size_t from = to.size();
  to += value.raw();
  std::replace_if(
      to.begin() + long(from), to.end(), [](char c) { return c == '\n' || c == '\r'; }, ' ');
}

void Who(ObjectWriter& out, const Value& who, std::string_view key = "who") {
  ObjectWriter object(out.Key(key));
  CopyText(object, "issuer", who["iss"]);
  CopyText(object, "subject", who["sub"]);
  CopyText(object, "name", who["name"]);
  CopyRaw(object, "groups", who["groups"]);
  CopyRaw(object, "groups_not_recorded", who["groups_cut"]);
  if (who["partial"]) object.Flag("groups_complete", false);
  CopyText(object, "provider", who["idp"]);
  CopyText(object, "client_id", who["client"]);
  CopyText(object, "agent", who["agent"]);
  CopyText(object, "owner", who["owner"]);
  CopyText(object, "token_class", who["class"]);
  CopyText(object, "origin", who["org"]);
  if (const auto exp = who["exp"].integer()) object.Text("expires", FormatUtc(*exp));
  object.Close();
}

void Session(ObjectWriter& out, uint64_t index, const Value& session) {
  ObjectWriter object(out.Key("session"));
  CopyText(object, "id", session["sid"]);
  object.Number("index", index);
  CopyText(object, "login", session["lg"]);
  Who(object, session["who"]);
  ObjectWriter from(object.Key("from"));
  CopyText(from, "address", session["from"]);
  CopyText(from, "client", session["ua"]);
  from.Close();
  CopyText(object, "front_end", session["fe"]);
  CopyText(object, "protocol", session["pv"]);
  object.Close();
}

void Access(ObjectWriter& out, const Value& access) {
  if (!access) return;
  ObjectWriter object(out.Key("access"));
  CopyText(object, "session", access["sid"]);
  CopyText(object, "kind", access["kind"]);
  if (access["who"]) Who(object, access["who"]);
  CopyText(object, "by", access["by"]);
  CopyText(object, "why", access["why"]);
  CopyText(object, "limits", access["lim"]);
  CopyRaw(object, "sessions", access["own"]);
  CopyRaw(object, "postgres", access["pg"]);
  CopyRaw(object, "mcp", access["mcp"]);
  CopyRaw(object, "approvals", access["ap"]);
  object.Close();
}

void Decision(ObjectWriter& out, const Value& entry) {
  if (!entry["d"] && !entry["x"] && !entry["why"] && !entry["p"] && !entry["a"]) return;
  ObjectWriter object(out.Key("decision"));
  CopyText(object, "id", entry["d"]);
  CopyText(object, "verdict", entry["x"]);
  CopyRaw(object, "rules", entry["rules"]);
  CopyText(object, "policy_version", entry["p"]);
  CopyText(object, "reason", entry["why"]);
  CopyText(object, "approval_id", entry["a"]);
  object.Close();
}

void Approval(ObjectWriter& out, const Value& root) {
  const Value approval = root["ap"];
  if (!approval) return;
  ObjectWriter object(out.Key("approval"));
  CopyText(object, "id", root["a"]);
  CopyText(object, "flow", approval["flow"]);
  CopyText(object, "state", approval["st"]);
  CopyText(object, "digest", approval["dg"]);
  CopyRaw(object, "binding", approval["bind"]);
  if (const auto exp = approval["exp"].integer()) object.Text("expires", FormatUtc(*exp));
  if (approval["by"]) Who(object, approval["by"], "by");
  CopyText(object, "vote", approval["vote"]);
  CopyText(object, "reason", approval["reason"]);
  CopyRaw(object, "proof", approval["sig"]);
  object.Close();
}

void Unmask(ObjectWriter& out, const Value& unmask) {
  if (!unmask) return;
  ObjectWriter object(out.Key("unmask"));
  CopyRaw(object, "detectors", unmask["det"]);
  CopyRaw(object, "max_values", unmask["max"]);
  if (const auto until = unmask["until"].integer()) object.Text("until", FormatUtc(*until));
  CopyRaw(object, "unmasked", unmask["n"]);
  CopyRaw(object, "places", unmask["at"]);
  object.Close();
}

void Outcome(ObjectWriter& out, const Entry& entry) {
  const Value root = entry.document.root();
  if (entry.event != "call.outcome" && entry.event != "call.abandoned" && !root["ok"]) return;
  ObjectWriter object(out.Key("outcome"));
  object.Flag("ok", root["ok"].boolean().value_or(true));
  CopyText(object, "code", root["code"]);
  CopyRaw(object, "duration_us", root["us"]);
  object.Close();
}

void Masked(ObjectWriter& out, const Value& masked) {
  if (!masked) return;
  std::string& list = out.Key("masked");
  list += '[';
  for (Value m = masked.first(); m; m = m.next()) {
    if (list.back() != '[') list += ',';
    ObjectWriter object(list);
    CopyText(object, "kind", m["k"]);
    CopyText(object, "place", m["p"]);
    CopyRaw(object, "count", m["n"]);
    object.Close();
  }
  list += ']';
}

void Blob(ObjectWriter& out, const Value& blob) {
  ObjectWriter object(out.Key("recording"));
  CopyText(object, "file", blob["f"]);
  CopyRaw(object, "offset", blob["o"]);
  CopyRaw(object, "length", blob["l"]);
  CopyRaw(object, "chunks", blob["n"]);
  CopyText(object, "sha256", blob["h"]);
  CopyText(object, "key", blob["k"]);
  object.Close();
}

void Payload(ObjectWriter& out, std::string_view name, const Value& payload) {
  if (!payload) return;
  ObjectWriter object(out.Key(name));
  CopyRaw(object, "bytes", payload["b"]);
  object.Flag("complete", !payload["cut"]);
  CopyRaw(object, "rows", payload["rows"]);
  CopyRaw(object, "rows_missing", payload["lost"]);
  CopyRaw(object, "cards", payload["cards"]);
  if (payload["blob"]) Blob(object, payload["blob"]);
  CopyRaw(object, "json", payload["json"]);
  CopyRaw(object, "text", payload["text"]);
  object.Close();
}

}  // namespace

std::string RenderEntry(uint64_t index, const Entry& entry, const Entry* session,
                        const Entry* intent) {
  const Value root = entry.document.root();
  const Value about = intent != nullptr ? intent->document.root() : root;
  std::string out;
  ObjectWriter object(out);
  object.Number("index", index);
  object.Text("event", entry.event);
  object.Text("time", FormatUtc(entry.at));
  if (root["who"]) {
    Session(object, index, root);
  } else if (session != nullptr) {
    Session(object, entry.session, session->document.root());
  } else if (const Value from = root["from"]) {
    ObjectWriter place(object.Key("from"));
    CopyText(place, "address", from);
    place.Close();
  }
  CopyRaw(object, "operation", about["n"]);
  CopyText(object, "connection", about["c"]);
  CopyText(object, "method", root["m"] ? root["m"] : about["m"]);
  CopyText(object, "resource", about["r"]);
  CopyText(object, "trace", about["tr"]);
  Decision(object, root);
  Approval(object, root);
  Unmask(object, root["um"]);
  CopyRaw(object, "intent", root["i"]);
  Outcome(object, entry);
  CopyRaw(object, "count", root["count"]);
  Access(object, root["acc"]);
  CopyText(object, "detail", root["detail"]);
  CopyRaw(object, "facts", root["facts"]);
  Masked(object, root["mask"]);
  Payload(object, "request", root["req"]);
  Payload(object, "result", root["res"]);
  object.Close();
  return out;
}

std::string Printable(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    const auto at = [&](size_t k) {
      return k < text.size() ? static_cast<unsigned char>(text[k]) : 0u;
    };
    const unsigned c = at(i);
    unsigned point = 0;
    size_t length = 1;
    if (c < 0x20 || c == 0x7f) {
      point = c + 1;  // 0 means "printable"
    } else if (c == 0xc2 && at(i + 1) < 0xa0) {
      point = at(i + 1) + 1, length = 2;
    } else if (c == 0xe2 && ((at(i + 1) == 0x80 &&
                              (at(i + 2) >= 0xa8 || at(i + 2) == 0x8e || at(i + 2) == 0x8f) &&
                              at(i + 2) <= 0xae) ||
                             (at(i + 1) == 0x81 && at(i + 2) >= 0xa6 && at(i + 2) <= 0xa9))) {
      point = (0x2000 | (at(i + 1) & 0x3f) << 6 | (at(i + 2) & 0x3f)) + 1, length = 3;
    }
    if (point == 0) {
      out += text[i];
      continue;
    }
    char escape[16];
    std::snprintf(escape, sizeof escape, "\\u%04x", point - 1);
    out += escape;
    i += length - 1;
  }
  return out;
}

}  // namespace sallyport::ledger
