#include <map>

#include "base/bytes.h"
#include "evidence_pack/tables.h"

namespace sallyport::evidence_pack {
namespace {

/// Keys as the log tells of them, and those of the configuration.
class Keys final : public Table {
 public:
  explicit Keys(Pack& pack)
      : events_(pack.Open("evidence/03.7.5/key-events.csv"),
                {"index", "time", "leaf", "event", "key", "by", "recordings", "detail"}),
        decisions_(pack.Open("evidence/07.2.3/approvals.csv"),
                   {"index", "time", "leaf", "event", "request", "flow", "by", "vote", "reason",
                    "state", "counted", "signed_with_a_passkey"}) {}

  void Add(const Record& record) override {
    if (record.event.starts_with("key.")) Key(record);
    if (record.inside && record.event.starts_with("approval.") && !record.Is("approval.viewed") &&
        !record.Is("approval.notified"))
      Decision(record);
  }

  void Finish(Pack& pack, const History&) override {
    pack.Register({"3.7.1", "3.7.4", "3.7.5", "3.7.7", "3.2.1"}, events_.file().name(),
                  "Keys made, wrapped anew and destroyed",
                  "key.created, key.rotated, key.destroyed", events_.rows(), "population");
    pack.Figure({"3.7.5", "3.2.1"}, "keys_destroyed", destroyed_);
    if (events_.rows() == 0) pack.Missing({"3.7.1"}, "no entry about a key in this period");
    if (changed_ == 0)
      pack.Missing({"3.7.5"}, "no key was wrapped anew or destroyed in this period");
    if (destroyed_ == 0) pack.Missing({"3.2.1"}, "no key was destroyed in this period");
    Csv ages(pack.Open("evidence/03.7.4/key-ages.csv"),
             {"key", "created", "rotated", "destroyed", "age_in_days_at_the_end_of_the_period"});
    for (const auto& [id, life] : lives_) {
      const Nanos since = life.rotated != 0 ? life.rotated : life.created;
      ages.Cell(id).When(life.created).When(life.rotated).When(life.destroyed);
      if (life.destroyed == 0 && since != 0 && since < pack.head().to)
        ages.Cell(uint64_t(pack.head().to - since) / 86'400'000'000'000ull);
      else
        ages.Cell("");
      ages.End();
    }
    pack.Register({"3.7.4", "3.7.5"}, ages.file().name(), "Age of each key that the log knows",
                  "key.* of the whole log up to the end of the period", ages.rows(), "population");
    pack.Register({"7.2.3", "8.6.1"}, decisions_.file().name(),
                  "Approvals: who decided about what, and why",
                  "approval.requested, decided, redeemed, expired, withdrawn", decisions_.rows(),
                  "population");
    Inventory(pack);
  }

 private:
  struct Life {
    Nanos created = 0, rotated = 0, destroyed = 0;
  };

  void Key(const Record& record) {
    const std::string id(record.Text("r"));
    if (record.inside) {
      const json::Value access = record.root["acc"];
      events_.Cell(record.index).When(record.at).Raw(Base64Encode(*record.leaf)).Cell(record.event);
      events_.Cell(id).Cell(access["by"].string().value_or("gateway")).Cell(record.Number("count"));
      events_.Cell(record.Text("detail")).End();
      if (record.Is("key.destroyed")) ++destroyed_;
      if (!record.Is("key.created")) ++changed_;
    }
    if (lives_.size() >= 100'000 && !lives_.contains(id)) return;
    Life& life = lives_[id];
    if (record.Is("key.created")) life.created = record.at;
    if (record.Is("key.rotated")) life.rotated = record.at;
    if (record.Is("key.destroyed")) life.destroyed = record.at;
  }

  void Decision(const Record& record) {
    const json::Value approval = record.root["ap"], by = approval["by"];
    const auto text = [](json::Value v) { return v.string().value_or(""); };
    const std::string_view name = text(by["name"]);
    decisions_.Cell(record.index).When(record.at).Raw(Base64Encode(*record.leaf));
    decisions_.Cell(record.event).Cell(record.Text("a")).Cell(text(approval["flow"]));
    decisions_.Cell(name.empty() ? text(by["sub"]) : name).Cell(text(approval["vote"]));
    decisions_.Cell(text(approval["reason"])).Cell(text(approval["st"]));
    decisions_.YesNo(record.root["ok"].boolean().value_or(true)).YesNo(bool(approval["sig"])).End();
  }

  static void Inventory(Pack& pack) {
    if (!pack.setup().given) {
      pack.Missing({"3.6.1.4"}, "the configuration was not given");
      return;
    }
    Csv csv(pack.Open("evidence/03.6.1/key-inventory.csv"),
            {"id", "purpose", "algorithm", "bits", "place", "public_fingerprint",
             "custodian (person)"});
    for (const Setup::Key& key : pack.setup().keys) {
      csv.Cell(key.id).Cell(key.purpose).Cell(key.algorithm).Cell(key.bits).Cell(key.place);
      csv.Cell(key.fingerprint).Cell("").End();
    }
    pack.Register({"3.6.1", "3.6.1.1", "3.6.1.2", "3.6.1.3", "3.6.1.4", "3.7.1", "3.7.3"},
                  csv.file().name(), "Inventory of keys", "configuration", csv.rows(), "form");
    Csv secrets(pack.Open("evidence/08.6.2/references-to-secrets.csv"), {"for", "kept_in"});
    uint64_t environment = 0;
    for (const auto& [what, kind] : pack.setup().secrets) {
      secrets.Cell(what).Cell(kind).End();
      if (kind == "env") ++environment;
    }
    pack.Register({"8.6.2", "8.6.3"}, secrets.file().name(),
                  "Where secrets are kept: the configuration can only refer to them",
                  "configuration", secrets.rows(), "configuration");
    pack.Figure({"8.6.2"}, "in_environment_variables", environment);
  }

  Csv events_, decisions_;
  std::map<std::string, Life> lives_;
  uint64_t destroyed_ = 0, changed_ = 0;
};

}  // namespace

std::unique_ptr<Table> KeyTable(Pack& pack) { return std::make_unique<Keys>(pack); }

}  // namespace sallyport::evidence_pack
