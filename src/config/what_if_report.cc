#include "config/what_if_report.h"

#include "ledger/object_writer.h"
#include "ledger/render.h"
#include "policy/explain.h"

namespace sallyport::config {
namespace {

using ledger::ObjectWriter;
using ledger::Printable;
using policy::VerdictName;

uint64_t Sum(const auto& counts) {
  uint64_t sum = 0;
  for (const auto& [key, count] : counts) sum += count;
  return sum;
}

std::string Side(op::Verdict verdict, const std::string& reason,
                 const std::vector<std::string>& rules) {
  std::string out(VerdictName(verdict));
  if (!reason.empty()) out += " (" + reason + ")";
  for (size_t i = 0; i < rules.size(); ++i) out += (i == 0 ? " by " : ", ") + rules[i];
  return out;
}

void WriteSide(ObjectWriter& object, op::Verdict verdict, const std::string& reason,
               const std::vector<std::string>& rules) {
  object.Text("verdict", VerdictName(verdict));
  object.Text("reason", reason);
  object.Texts("rules", rules);
}

}  // namespace

uint64_t WhatIfReport::different() const { return Sum(differ); }
uint64_t WhatIfReport::cannot_tell() const { return Sum(unknown); }

std::string WhatIfReport::Text() const {
  std::string out;
  for (const Example& e : examples) {
    std::string line = std::to_string(e.index) + "  " + FormatUtc(e.at).substr(0, 19) + "Z  " +
                       e.who + "  " + e.connection + "  " + e.method;
    if (!e.resource.empty()) line += "  " + e.resource;
    out += Printable(line) + "\n    was " + Printable(Side(e.was, e.was_reason, e.was_rules)) +
           "\n    now " + Printable(Side(e.now, e.now_reason, e.now_rules)) + "\n";
  }
  if (different() > examples.size() && !examples.empty())
    out += "… the first " + std::to_string(examples.size()) + " of " + std::to_string(different()) +
           "\n";
  if (!examples.empty()) out += "\n";
  out += std::to_string(operations) + " operations, judged by rules " + version + ": " +
         std::to_string(same) + " the same, " + std::to_string(different()) + " different, " +
         std::to_string(cannot_tell()) + " cannot be told\n";
  for (const auto& [change, count] : differ) {
    out += "  " + std::string(VerdictName(change.first)) + " → " +
           std::string(VerdictName(change.second)) + ": " + std::to_string(count) + "\n";
  }
  for (const auto& [why, count] : unknown)
    out += "  cannot be told, " + Printable(why) + ": " + std::to_string(count) + "\n";
  if (assumed_public > 0) {
    out += "  decided by a table name without a schema, read as in public: " +
           std::to_string(assumed_public) + "\n";
  }
  out += "rules (decided then, now, different):\n";
  for (const auto& [id, counts] : rules) {
    out += "  " + Printable(id.empty() ? "?" : id) + "  " + std::to_string(counts.recorded) + "  " +
           std::to_string(counts.now) + "  " + std::to_string(counts.differ) + "\n";
  }
  return out;
}

std::string WhatIfReport::Json() const {
  std::string out;
  ObjectWriter object(out);
  object.Number("v", 1);
  object.Text("policy_version", version);
  object.Number("entries", entries);
  object.Number("operations", operations);
  object.Number("same_rules", same_rules);
  object.Number("same", same);
  object.Number("different", different());
  object.Number("cannot_tell", cannot_tell());
  object.Number("assumed_public", assumed_public);
  {
    ObjectWriter changes(object.Key("changes"));
    for (const auto& [change, count] : differ) {
      changes.Number(
          std::string(VerdictName(change.first)) + "_to_" + std::string(VerdictName(change.second)),
          count);
    }
    changes.Close();
  }
  std::string& reasons = object.Key("unknown");
  reasons += '{';
  for (const auto& [why, count] : unknown) {
    if (reasons.back() != '{') reasons += ',';
    json::AppendString(reasons, why);
    reasons += ':' + std::to_string(count);
  }
  reasons += '}';
  std::string& list = object.Key("rules");
  list += '[';
  for (const auto& [id, counts] : rules) {
    if (list.back() != '[') list += ',';
    ObjectWriter rule(list);
    rule.Text("rule", id);
    rule.Number("recorded", counts.recorded);
    rule.Number("now", counts.now);
    rule.Number("different", counts.differ);
    rule.Close();
  }
  list += ']';
  std::string& shown = object.Key("examples");
  shown += '[';
  for (const Example& e : examples) {
    if (shown.back() != '[') shown += ',';
    ObjectWriter one(shown);
    one.Number("index", e.index);
    one.Text("time", FormatUtc(e.at));
    one.Text("who", e.who);
    one.Text("connection", e.connection);
    one.Text("method", e.method);
    one.Text("resource", e.resource);
    ObjectWriter was(one.Key("was"));
    WriteSide(was, e.was, e.was_reason, e.was_rules);
    was.Close();
    ObjectWriter now(one.Key("now"));
    WriteSide(now, e.now, e.now_reason, e.now_rules);
    now.Text("why", e.why);
    now.Close();
    one.Close();
  }
  shown += ']';
  object.Close();
  return out + "\n";
}

}  // namespace sallyport::config
