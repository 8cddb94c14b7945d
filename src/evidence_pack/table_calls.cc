#include <map>

#include "base/bytes.h"
#include "evidence_pack/tables.h"

namespace sallyport::evidence_pack {
namespace {

std::string Leaf(const ledger::Hash& leaf) { return Base64Encode(leaf); }

uint64_t Masked(const json::Value& root) {
  uint64_t sum = 0;
  for (json::Value m = root["mask"].first(); m; m = m.next())
    sum += uint64_t(m["n"].integer().value_or(0));
  return sum;
}

/// Every operation with how it ended, and by which way people reach cardholder data.
class Calls final : public Table {
 public:
  explicit Calls(Pack& pack)
      : access_(pack.Open("evidence/10.2.1.1/chd-access.csv"),
                {"index",    "time",     "leaf",    "person",   "issuer",     "subject",
                 "agent",    "owner",    "address", "session",  "connection", "method",
                 "resource", "decision", "rules",   "approval", "end",        "outcome_index",
                 "code",     "rows",     "masked",  "in_clear"}),
        copies_(pack.Open("evidence/03.4.2/copy-attempts.csv"),
                {"index", "time", "leaf", "person", "agent", "connection", "verdict", "reason",
                 "statement"}) {
    for (const Setup::Connection& c : pack.setup().connections) {
      if (c.cde()) cde_.insert(c.name);
    }
    all_ = cde_.empty();
  }

  void Add(const Record& record) override {
    if (!record.inside) return;
    if (record.Is("call.intent") || record.Is("call.denied")) Copy(record);
    if (record.Is("bypass.found")) ++bypasses_;
    if (record.call == nullptr || (!record.Is("call.outcome") && !record.Is("call.abandoned")))
      return;
    const Call& call = *record.call;
    if (!all_ && !cde_.contains(call.connection)) return;
    const bool abandoned = record.Is("call.abandoned");
    const bool ok = !abandoned && record.root["ok"].boolean().value_or(true);
    Row(call, abandoned ? "abandoned" : ok ? "done" : "failed", &record);
    Path& path = paths_[{call.connection, call.front_end, call.method}];
    ++path.operations;
    path.people.insert(call.who);
    path.rows += uint64_t(record.root["res"]["rows"].integer().value_or(0));
  }

  void Finish(Pack& pack, const History& history) override {
    uint64_t open = 0;
    for (const auto& [index, call] : history.open_calls()) {
      if (call.at < pack.head().from || call.at >= pack.head().to) continue;
      if (!all_ && !cde_.contains(call.connection)) continue;
      Row(call, "no end in the log", nullptr);
      ++open;
    }
    const char* const which = all_ ? "every operation, as no connection is labelled scope: cde"
                                   : "every operation at a connection with the label scope: cde";
    pack.Register({"10.2.1.1", "8.2.2"}, access_.file().name(),
                  "Access to cardholder data, one row an operation", which, access_.rows(),
                  "population");
    pack.Figure({"10.2.1.1"}, "operations", access_.rows());
    pack.Figure({"10.2.1.1"}, "without_an_end", open);
    if (open > 0)
      pack.Exception({"10.2.1.1"}, std::to_string(open) +
                                       " operations have no end in the log: "
                                       "under way, or cut off by a crash");
    pack.Register({"3.4.2"}, copies_.file().name(), "Statements that copy data out or in (COPY)",
                  "statements that begin with COPY", copies_.rows(), "population");
    pack.Figure({"3.4.2"}, "copies_allowed", allowed_copies_);
    pack.Figure({"3.4.2"}, "copies_refused", copies_.rows() - allowed_copies_);
    Paths(pack, which);
  }

 private:
  struct Path {
    uint64_t operations = 0, rows = 0;
    std::set<const Person*> people;
  };

  void Row(const Call& call, std::string_view end, const Record* record) {
    static const Person kNobody;
    const Person& who = call.who != nullptr ? *call.who : kNobody;
    access_.Cell(call.index).When(call.at).Raw(Leaf(call.leaf));
    access_.Cell(who.name).Cell(who.issuer).Cell(who.subject).Cell(who.agent).Cell(who.owner);
    access_.Cell(call.address).Cell(call.session).Cell(call.connection).Cell(call.method);
    access_.Cell(call.resource).Cell(call.decision).Cell(call.rules).Cell(call.approval).Cell(end);
    if (record == nullptr) {
      for (int i = 0; i < 5; ++i) access_.Cell("");
    } else {
      access_.Cell(record->index).Cell(record->Text("code"));
      access_.Cell(uint64_t(record->root["res"]["rows"].integer().value_or(0)));
      access_.Cell(Masked(record->root));
      access_.Cell(uint64_t(record->root["um"]["n"].integer().value_or(0)));
    }
    access_.End();
  }

  void Copy(const Record& record) {
    const Call& call = *record.call;
    if (call.statement != Statement::copy && call.statement != Statement::unread) return;
    if (record.Is("call.intent")) ++allowed_copies_;
    copies_.Cell(call.index).When(call.at).Raw(Leaf(call.leaf));
    copies_.Cell(call.who != nullptr ? call.who->label() : "");
    copies_.Cell(call.who != nullptr ? call.who->agent : "").Cell(call.connection);
    copies_.Cell(record.Is("call.intent") ? "allow" : record.Text("x")).Cell(record.Text("why"));
    copies_.Cell(call.text).End();
  }

  void Paths(Pack& pack, const char* which) {
    Csv paths(pack.Open("evidence/07.2.6/chd-query-paths.csv"),
              {"connection", "front_end", "method", "account_at_the_upstream", "operations", "rows",
               "people"});
    for (const auto& [key, path] : paths_) {
      std::string account;
      for (const Setup::Connection& c : pack.setup().connections) {
        if (c.name == std::get<0>(key)) account = c.account;
      }
      paths.Cell(std::get<0>(key)).Cell(std::get<1>(key)).Cell(std::get<2>(key)).Cell(account);
      paths.Cell(path.operations).Cell(path.rows).Cell(uint64_t(path.people.size())).End();
    }
    pack.Register({"7.2.6"}, paths.file().name(), "The ways on which cardholder data was reached",
                  which, paths.rows(), "summary");
    pack.Figure({"7.2.6"}, "found_past_the_gateway", bypasses_);
    // Nothing found says nothing where nobody looked.
    if (bypasses_ == 0)
      pack.Missing({"7.2.6"}, "no entry of a comparison with the databases' own sessions");
    if (bypasses_ > 0)
      pack.Exception({"7.2.6"}, std::to_string(bypasses_) +
                                    " sessions reached a database without the gateway");
  }

  Csv access_, copies_;
  std::set<std::string> cde_;
  bool all_ = false;
  uint64_t allowed_copies_ = 0, bypasses_ = 0;
  std::map<std::tuple<std::string, std::string, std::string>, Path> paths_;
};

}  // namespace

std::unique_ptr<Table> CallTable(Pack& pack) { return std::make_unique<Calls>(pack); }

}  // namespace sallyport::evidence_pack
