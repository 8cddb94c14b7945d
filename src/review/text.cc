#include <algorithm>
#include <nlohmann/json.hpp>

#include "ledger/render.h"
#include "review/judge.h"

// A review and a day as JSON and Markdown.

namespace sallyport::review {
namespace {

using Json = nlohmann::ordered_json;
constexpr size_t kMostBytes = 30'000, kMostText = 300;

std::string Dump(const Json& value) {
  return value.dump(-1, ' ', false, Json::error_handler_t::replace);
}

std::string Short(const std::string& text) {
  if (text.size() <= kMostText) return text;
  size_t end = kMostText;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  return text.substr(0, end) + "…";
}

/// The `most` largest.
Json Top(const std::map<std::string, uint64_t>& counts, size_t most) {
  std::vector<std::pair<std::string, uint64_t>> sorted(counts.begin(), counts.end());
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  Json made = Json::object();
  for (size_t i = 0; i < std::min(most, sorted.size()); ++i)
    made[Short(sorted[i].first)] = sorted[i].second;
  return made;
}

Json Build(const Review& review, size_t most_items, size_t top) {
  const Day& day = review.day;
  Json facts{{"date", day.date},
             {"entries", day.entries},
             {"first", day.first},
             {"last", day.last},
             {"compared_days", review.baseline_days}};
  Json& figures = facts["figures"] = Json::object();
  for (const Figure& figure : Figures()) {
    const auto at = day.figures.find(std::string(figure.name));
    figures[std::string(figure.name)] = at == day.figures.end() ? 0 : at->second;
  }
  Json& items = facts["deviations"] = Json::array();
  for (size_t i = 0; i < std::min(most_items, review.items.size()); ++i) {
    const Item& item = review.items[i];
    Json one{{"n", i + 1}, {"kind", item.kind}, {"what", Short(item.text)}};
    if (item.has_index) one["entry"] = item.index;
    if (!item.person.empty()) one["person"] = Short(item.person);
    items.push_back(std::move(one));
  }
  facts["left_out"] = review.left_out + review.items.size() - items.size();
  facts["events"] = Top(day.events, 80);
  facts["denied_by_rule"] = Top(day.denied_by_rule, top);
  facts["denied_by_person"] = Top(day.denied_by_person, top);
  facts["denied_by_reason"] = Top(day.denied_by_reason, top);
  facts["failed_logins"] = Top(day.failed_logins, top);
  facts["admin_actions"] = Top(day.admin_actions, top);
  facts["operations_by_person"] = Top(day.operations_by_person, top);
  return facts;
}

/// Text of the log in Markdown: no control characters, no markup of its own.
std::string Plain(const Json& value) {
  std::string out;
  for (const char c :
       ledger::Printable(value.is_string() ? value.get<std::string>() : Dump(value))) {
    if (std::string_view("|*_`<>[]#\\").contains(c)) out += '\\';
    out += c;
  }
  return out;
}

void Table(std::string& out, const Json& facts, const char* key, const char* title) {
  const auto counts = facts.find(key);
  if (counts == facts.end() || !counts->is_object() || counts->empty()) return;
  out += std::string("\n## ") + title + "\n\n| what | how often |\n|---|---|\n";
  for (const auto& [name, count] : counts->items())
    out += "| " + Plain(Json(name)) + " | " + Plain(count) + " |\n";
}

void Merge(const Json& from, std::map<std::string, uint64_t>& to) {
  if (!from.is_object()) return;
  for (const auto& [name, count] : from.items()) {
    if (count.is_number_unsigned()) to[name] = count.get<uint64_t>();
  }
}

void Merge(const Json& from, std::set<std::string>& to) {
  if (!from.is_array()) return;
  for (const auto& name : from) {
    if (name.is_string()) to.insert(name.get<std::string>());
  }
}

}  // namespace

std::string ReviewToJson(const Review& review) {
  std::string text;
  for (const auto& [items, top] :
       {std::pair<size_t, size_t>{kMostItems, 20}, {60, 10}, {20, 5}, {5, 2}}) {
    text = Dump(Build(review, items, top));
    if (text.size() < kMostBytes) break;
  }
  return text;
}

std::string ReviewToMarkdown(std::string_view text, const std::vector<std::string>& signatures) {
  const Json facts = Json::parse(text, nullptr, false);
  if (!facts.is_object()) return "This review cannot be read.\n";
  std::string out = "# Review of " + Plain(facts.value("date", Json("?"))) + "\n\n";
  out += Plain(facts.value("entries", Json(0))) + " entries, " +
         Plain(facts.value("first", Json(0))) + " to " + Plain(facts.value("last", Json(0))) +
         "; compared with " + Plain(facts.value("compared_days", Json(0))) + " days before.\n\n";
  out += "## Deviations\n\n";
  const Json items = facts.value("deviations", Json::array());
  for (const auto& item : items) {
    out += Plain(item.value("n", Json(0))) + ". " + Plain(item.value("kind", Json("?"))) + ": " +
           Plain(item.value("what", Json("?")));
    if (item.contains("entry")) out += " (entry " + Plain(item["entry"]) + ")";
    out += '\n';
  }
  if (items.empty()) out += "None.\n";
  if (const Json left = facts.value("left_out", Json(0)); left != Json(0))
    out += "\nAnd " + Plain(left) + " more that are not listed here.\n";
  Table(out, facts, "figures", "Figures");
  Table(out, facts, "denied_by_rule", "Denied, by rule");
  Table(out, facts, "denied_by_person", "Denied, by person");
  Table(out, facts, "denied_by_reason", "Denied, by reason");
  Table(out, facts, "failed_logins", "Failed logins, by reason");
  Table(out, facts, "admin_actions", "Actions of administrators");
  Table(out, facts, "operations_by_person", "Operations, by person");
  Table(out, facts, "events", "Entries, by event");
  out += "\n## Signed\n\n";
  for (const std::string& line : signatures) out += "* " + Plain(Json(line)) + '\n';
  if (signatures.empty()) out += "By nobody yet.\n";
  return out;
}

std::string DayToJson(const Day& day) {
  Json notes = Json::array();
  for (const Day::Note& note : day.notes)
    notes.push_back({{"kind", note.kind}, {"text", note.text}, {"index", note.index}});
  return Dump({{"v", 1},
               {"date", day.date},
               {"entries", day.entries},
               {"first", day.first},
               {"last", day.last},
               {"events", day.events},
               {"figures", day.figures},
               {"operations_by_person", day.operations_by_person},
               {"persons", day.persons},
               {"agents", day.agents},
               {"connections", day.connections},
               {"tools", day.tools},
               {"notes", std::move(notes)}});
}

Result<Day> DayFromJson(std::string_view text) {
  const Json root = Json::parse(text, nullptr, false);
  if (!root.is_object() || root.value("v", Json()) != Json(1) ||
      !root.value("date", Json()).is_string())
    return Fail(Errc::request_malformed, "this is no file of a day");
  Day day;
  day.date = root["date"].get<std::string>();
  for (const auto& [name, to] : {std::pair<const char*, uint64_t*>{"entries", &day.entries},
                                 {"first", &day.first},
                                 {"last", &day.last}}) {
    const Json value = root.value(name, Json());
    if (value.is_number_unsigned()) *to = value.get<uint64_t>();
  }
  const auto member = [&](const char* name) { return root.value(name, Json()); };
  Merge(member("events"), day.events);
  Merge(member("figures"), day.figures);
  Merge(member("operations_by_person"), day.operations_by_person);
  Merge(member("persons"), day.persons);
  Merge(member("agents"), day.agents);
  Merge(member("connections"), day.connections);
  Merge(member("tools"), day.tools);
  return day;
}

}  // namespace sallyport::review
