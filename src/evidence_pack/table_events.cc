#include <algorithm>
#include <array>
#include <deque>

#include "base/bytes.h"
#include "evidence_pack/tables.h"

namespace sallyport::evidence_pack {
namespace {

template <size_t N>
bool In(std::string_view event, const std::array<std::string_view, N>& names) {
  return std::ranges::find(names, event) != names.end();
}

constexpr std::array<std::string_view, 22> kAdministration{
    "config.loaded",      "config.refused",   "policy.adopted",     "session.killed",
    "session.unlocked",   "approval.decided", "approval.withdrawn", "passkey.registered",
    "passkey.removed",    "tool.pinned",      "tool.changed",       "key.created",
    "key.rotated",        "key.destroyed",    "recording.held",     "recording.released",
    "recording.exported", "card.looked_up",   "review.signed",      "drill.made",
    "signal.received",    "consent.decided"};
constexpr std::array<std::string_view, 4> kReads{"evidence.read", "recording.exported",
                                                 "card.looked_up", "approval.viewed"};
constexpr std::array<std::string_view, 2> kRefusals{"auth.failure", "request.refused"};
constexpr std::array<std::string_view, 13> kCredentials{"session.opened",
                                                        "session.killed",
                                                        "consent.decided",
                                                        "upstream.linked",
                                                        "upstream.unlinked",
                                                        "passkey.removed",
                                                        "upstream.refresh_failed",
                                                        "passkey.registered",
                                                        "signal.received",
                                                        "key.created",
                                                        "key.rotated",
                                                        "key.destroyed",
                                                        "policy.adopted"};
constexpr std::array<std::string_view, 6> kLogs{"log.init",      "log.start",  "log.stop",
                                                "log.recovered", "log.failed", "clock.stepped"};
constexpr std::array<std::string_view, 4> kObjects{"tool.pinned", "tool.changed", "config.loaded",
                                                   "policy.adopted"};

/// The lists of events that 10.2.1.2 to 10.2.1.7 ask for: the same columns in each.
class Events final : public Table {
 public:
  Events(Pack& pack, History& history)
      : history_(history),
        administration_(pack, "10.2.1.2", "admin-actions.csv", "Actions of administrators",
                        "administrative events; decisions; statements that change objects or "
                        "accounts"),
        reads_(pack, "10.2.1.3", "log-reads.csv", "Who read the log or recordings",
               "evidence.read, recording.exported, card.looked_up, approval.viewed"),
        refusals_(pack, "10.2.1.4", "refused-attempts.csv", "Attempts that were refused",
                  "auth.failure, request.refused, call.denied, and decisions that did not count"),
        credentials_(pack, "10.2.1.5", "credential-changes.csv", "Changes of credentials",
                     "sessions, passkeys, linked accounts, consents, keys; statements that change "
                     "accounts or privileges"),
        logs_(pack, "10.2.1.6", "log-lifecycle.csv", "Begin, end and pause of the log",
              "log.init, log.start, log.stop, log.recovered, log.failed, clock.stepped"),
        objects_(pack, "10.2.1.7", "system-objects.csv", "System objects made or removed",
                 "statements that create, alter or drop; tools of MCP servers; configurations") {}

  void Add(const Record& record) override {
    if (!record.inside) return;
    const bool refused = record.root["ok"].boolean() == false;
    if (In(record.event, kAdministration)) Row(administration_, record);
    if (In(record.event, kReads)) Row(reads_, record);
    if (In(record.event, kRefusals) || record.Is("call.denied") ||
        (refused &&
         (record.event.starts_with("approval.") || record.event.starts_with("passkey.") ||
          record.Is("consent.decided") || record.Is("upstream.linked"))))
      Row(refusals_, record);
    if (In(record.event, kCredentials)) Row(credentials_, record);
    if (In(record.event, kLogs)) Row(logs_, record);
    if (In(record.event, kObjects)) Row(objects_, record);
    if (!record.Is("call.intent")) return;
    const Statement statement = record.call->statement;
    if (statement == Statement::object || statement == Statement::credential ||
        statement == Statement::unread) {
      Row(administration_, record);
      Row(objects_, record);
      if (statement != Statement::object) Row(credentials_, record);
    }
  }

  void Finish(Pack& pack, const History&) override {
    for (List* list : {&administration_, &reads_, &refusals_, &credentials_, &logs_, &objects_}) {
      pack.Register({list->requirement}, list->csv.file().name(), list->title, list->query,
                    list->csv.rows(), "population");
      pack.Of(list->requirement).figures["events"] = list->csv.rows();
    }
  }

 private:
  struct List {
    List(Pack& pack, std::string id, const std::string& file, std::string what, std::string how)
        : requirement(std::move(id)),
          title(std::move(what)),
          query(std::move(how)),
          csv(pack.Open("evidence/" + requirement + "/" + file),
              {"index", "time", "leaf", "event", "by", "issuer", "subject", "agent", "address",
               "about", "connection", "method", "resource", "verdict", "reason", "ok", "rules",
               "detail", "statement"}) {}
    std::string requirement, title, query;
    Csv csv;
  };

  void Row(List& list, const Record& record) {
    static const Person kNobody;
    const json::Value access = record.root["acc"];
    const Person* by = record.who();
    if (const Person* decided = history_.Whom(record.root["ap"]["by"])) by = decided;
    if (const Person* claimed = history_.Whom(record.root["who"])) by = claimed;
    const Person* about = history_.Whom(access["who"]);
    const Person& who = by != nullptr ? *by : kNobody;
    std::string name =
        by != nullptr ? who.label() : std::string(access["by"].string().value_or(""));
    if (name.empty() && record.Is("evidence.read")) name = record.Text("detail");
    std::string_view address = record.Text("from");
    if (address.empty() && record.stay != nullptr) address = record.stay->address;
    Csv& csv = list.csv;
    csv.Cell(record.index).When(record.at).Raw(Base64Encode(*record.leaf)).Cell(record.event);
    csv.Cell(name).Cell(who.issuer).Cell(who.subject).Cell(who.agent).Cell(address);
    csv.Cell(about != nullptr ? about->label() : "");
    csv.Cell(record.call != nullptr ? std::string_view(record.call->connection) : record.Text("c"));
    csv.Cell(record.Text("m")).Cell(record.Text("r"));
    csv.Cell(record.Text("x")).Cell(record.Text("why"));
    csv.YesNo(record.root["ok"].boolean().value_or(true) && !record.Is("call.denied") &&
              !In(record.event, kRefusals));
    csv.Cell(record.call != nullptr ? record.call->rules : "");
    std::string detail(record.Text("detail"));
    for (const std::string_view more :
         {access["why"].string().value_or(""), record.root["ap"]["vote"].string().value_or(""),
          record.root["ap"]["reason"].string().value_or("")}) {
      if (!more.empty()) detail += (detail.empty() ? "" : "; ") + std::string(more);
    }
    csv.Cell(detail.substr(0, 1000)).Cell(record.call != nullptr ? record.call->text : "").End();
  }

  History& history_;
  List administration_, reads_, refusals_, credentials_, logs_, objects_;
};

/// 10.2.2: of every entry of the period, whether the six things are there.
class Fields final : public Table {
 public:
  explicit Fields(Pack&) {}

  void Add(const Record& record) override {
    if (!record.inside) return;
    Kind& kind = kinds_[std::string(record.event)];
    ++kind.entries;
    // Who: the session's person, whom the entry names itself, or the gateway, which is the origin.
    const bool about_people = record.root["s"] || record.event.starts_with("call.") ||
                              record.event.starts_with("auth.") || record.Is("request.refused");
    const json::Value access = record.root["acc"];
    const bool who = record.who() != nullptr || record.root["who"] || access["by"] ||
                     access["who"] || record.root["ap"]["by"] || !record.Text("detail").empty() ||
                     !record.Text("from").empty();
    if (about_people && !who) ++kind.nobody;
    if (record.event.empty()) ++kind.type;
    if (record.at <= 0) ++kind.time;
    const bool where = !about_people || !record.Text("from").empty() ||
                       (record.stay != nullptr && !record.stay->address.empty()) ||
                       (record.call != nullptr && !record.call->address.empty());
    if (!where) ++kind.origin;
    const bool call = record.event.starts_with("call.");
    if (call && (record.call == nullptr || record.call->connection.empty())) ++kind.resource;
  }

  void Finish(Pack& pack, const History& history) override {
    Json kinds = Json::object();
    uint64_t entries = 0, missing = 0;
    for (const auto& [event, kind] : kinds_) {
      const uint64_t lacks = kind.nobody + kind.type + kind.time + kind.origin + kind.resource;
      kinds[event] = {{"entries", kind.entries},       {"without_user", kind.nobody},
                      {"without_type", kind.type},     {"without_time", kind.time},
                      {"without_origin", kind.origin}, {"without_component", kind.resource}};
      entries += kind.entries;
      missing += lacks;
    }
    const std::string file = "evidence/10.2.2/fields.json";
    pack.PutJson(
        file, "every entry of the period, decoded",
        {{"entries", entries},
         {"fields_missing", missing},
         {"unreadable_entries_in_the_log", history.unreadable()},
         {"rules",
          {{"user",
            "the person or agent of the session, or named by the entry; of entries that are "
            "about no person: the gateway itself, by the origin"},
           {"type", "e"},
           {"time", "t, UTC, nanoseconds"},
           {"success", "ok (absent: true), or the event itself: denied, refused, failure"},
           {"origin", "the address of the session or of the entry"},
           {"component", "connection and resource of calls; the origin of all others"}}},
         {"kinds", kinds}});
    pack.Register({"10.2.2"}, file, "The six things that each entry has to say",
                  "every entry of the period", entries, "check");
    pack.Figure({"10.2.2"}, "entries", entries);
    pack.Figure({"10.2.2"}, "fields_missing", missing);
    if (missing > 0) pack.Exception({"10.2.2"}, std::to_string(missing) + " fields are missing");
    if (history.unreadable() > 0)
      pack.Exception({"10.2.2"},
                     std::to_string(history.unreadable()) + " entries of the log cannot be read");
  }

 private:
  struct Kind {
    uint64_t entries = 0, nobody = 0, type = 0, time = 0, origin = 0, resource = 0;
  };
  std::map<std::string, Kind, std::less<>> kinds_;
};

}  // namespace

std::unique_ptr<Table> EventTables(Pack& pack, History& history) {
  return std::make_unique<Events>(pack, history);
}
std::unique_ptr<Table> FieldTable(Pack& pack) { return std::make_unique<Fields>(pack); }

}  // namespace sallyport::evidence_pack
