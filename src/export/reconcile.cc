#include "export/reconcile.h"

#include <algorithm>
#include <charconv>

#include "json/document.h"
#include "ledger/object_writer.h"

namespace sallyport::exporting {
namespace {

constexpr size_t kMostListed = 1'000;
constexpr size_t kLeafChars = 44;  // of 32 bytes in base64

std::optional<uint64_t> ReadNumber(std::string_view text) {
  uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return n;
}

/// "origin:index"; an origin may have colons of its own.
bool ReadUid(std::string_view uid, Received& out) {
  const size_t colon = uid.rfind(':');
  if (colon == std::string_view::npos) return false;
  const auto index = ReadNumber(uid.substr(colon + 1));
  if (!index) return false;
  out.origin = uid.substr(0, colon);
  out.index = *index;
  return true;
}

std::string_view Text(json::Value value) { return value.string().value_or(std::string_view()); }

bool Whole(const Received& r) { return r.leaf.size() == kLeafChars; }

std::optional<Received> ReadObject(json::Value event) {
  if (const json::Value inner = event["event"]; inner.is(json::Kind::object) && inner["origin"])
    return ReadObject(inner);  // as an event collector has it
  Received out;
  if (const auto index = event["index"].integer(); index && *index >= 0 && event["leaf_hash"]) {
    out.origin = Text(event["origin"]);
    out.index = uint64_t(*index);
    out.leaf = Text(event["leaf_hash"]);
  } else if (ReadUid(Text(event["metadata"]["uid"]), out)) {
    out.leaf = Text(event["unmapped"]["leaf_hash"]);
  } else if (ReadUid(Text(event["event"]["id"]), out)) {
    out.leaf = Text(event["event"]["hash"]);
  }
  if (!Whole(out)) return std::nullopt;
  return out;
}

/// The value of an extension's key in a CEF line, without its escapes.
std::string CefValue(std::string_view line, std::string_view key) {
  const std::string wanted = " " + std::string(key) + "=";
  size_t at = line.find(wanted);
  if (at == std::string_view::npos) {
    const std::string first = "|" + std::string(key) + "=";
    at = line.find(first);
    if (at == std::string_view::npos) return {};
  }
  std::string value;
  for (size_t i = at + wanted.size(); i < line.size() && line[i] != ' '; ++i) {
    if (line[i] == '\\' && i + 1 < line.size()) ++i;
    value += line[i];
  }
  return value;
}

void AppendRange(std::string& list, const Reconciliation::Range& range) {
  if (list.back() != '[') list += ',';
  list += '[' + std::to_string(range.from) + ',' + std::to_string(range.to) + ']';
}

}  // namespace

std::optional<Received> ReadReceived(std::string_view line) {
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.remove_suffix(1);
  const size_t cef = line.find("CEF:0|"), brace = line.find('{');
  if (cef < brace) {  // what comes first; the other would be in a value
    Received out;
    if (!ReadUid(CefValue(line.substr(cef), "externalId"), out)) return std::nullopt;
    out.leaf = CefValue(line.substr(cef), "cs1");
    return Whole(out) ? std::optional(out) : std::nullopt;
  }
  if (brace != std::string_view::npos) {
    const auto document = json::Document::Parse(line.substr(brace));
    if (!document || !document->root().is(json::Kind::object)) return std::nullopt;
    return ReadObject(document->root());
  }
  const size_t space = line.find_first_of(" \t,");
  if (space == std::string_view::npos) return std::nullopt;
  const auto index = ReadNumber(line.substr(0, space));
  Received out{
      .origin = {}, .index = index.value_or(0), .leaf = std::string(line.substr(space + 1))};
  return index && Whole(out) ? std::optional(out) : std::nullopt;
}

void Reconciliation::Add(std::string_view line) {
  if (line.find_first_not_of(" \t\r\n") == std::string_view::npos) return;
  const auto received = ReadReceived(line);
  if (!received) {
    ++unread_;
    return;
  }
  if (!received->origin.empty() && received->origin != origin_) {
    ++foreign_;
    return;
  }
  const auto [at, fresh] = seen_.try_emplace(received->index, Seen{.leaf = received->leaf});
  if (fresh) return;
  ++repeated_;
  at->second.differs = at->second.differs || at->second.leaf != received->leaf;
}

Result<Reconciliation::Report> Reconciliation::Compare(Spool& log, uint64_t from,
                                                       uint64_t to) const {
  Report report{.origin = origin_, .from = from, .to = std::min(to, log.size())};
  report.repeated = repeated_;
  report.unread = unread_;
  report.foreign = foreign_;
  auto next = seen_.lower_bound(from);
  for (uint64_t i = from; i < report.to; ++i) {
    if (next == seen_.end() || next->first != i) {
      if (report.missing.empty() || report.missing.back().to != i) report.missing.push_back({i, i});
      report.missing.back().to = i + 1;
      continue;
    }
    SALLYPORT_TRY(const std::string leaf, log.LeafOf(i));
    if (next->second.differs || next->second.leaf != leaf)
      report.changed.push_back(i);
    else
      ++report.arrived;
    ++next;
  }
  report.foreign += uint64_t(std::distance(seen_.lower_bound(log.size()), seen_.end()));
  return report;
}

std::string Reconciliation::Report::Json() const {
  std::string out;
  ledger::ObjectWriter o(out);
  o.Text("origin", origin);
  o.Number("from", from);
  o.Number("to", to);
  o.Flag("whole", whole());
  o.Number("arrived", arrived);
  o.Number("repeated", repeated);
  o.Number("unread", unread);
  o.Number("foreign", foreign);
  std::string& lost = o.Key("missing");
  lost += '[';
  for (size_t i = 0; i < std::min(missing.size(), kMostListed); ++i) AppendRange(lost, missing[i]);
  lost += ']';
  std::string& other = o.Key("changed");
  other += '[';
  for (size_t i = 0; i < std::min(changed.size(), kMostListed); ++i) {
    if (i > 0) other += ',';
    other += std::to_string(changed[i]);
  }
  other += ']';
  if (missing.size() > kMostListed || changed.size() > kMostListed) o.Flag("cut", true);
  o.Close();
  return out;
}

std::string Reconciliation::Report::Text() const {
  std::string out = "entries " + std::to_string(from) + " to " + std::to_string(to) + " of " +
                    origin + ": " + std::to_string(arrived) + " arrived as they are in the log";
  out += whole() ? ", none is missing\n" : "\n";
  for (size_t i = 0; i < std::min<size_t>(missing.size(), 20); ++i) {
    out += "missing: " + std::to_string(missing[i].from) + " to " +
           std::to_string(missing[i].to - 1) + "\n";
  }
  if (missing.size() > 20) out += "missing: " + std::to_string(missing.size()) + " ranges in all\n";
  for (size_t i = 0; i < std::min<size_t>(changed.size(), 20); ++i)
    out += "not what the log has: " + std::to_string(changed[i]) + "\n";
  if (repeated + unread + foreign > 0) {
    out += std::to_string(repeated) + " repeated, " + std::to_string(unread) +
           " lines that are no event, " + std::to_string(foreign) + " of no entry of this log\n";
  }
  return out;
}

}  // namespace sallyport::exporting
