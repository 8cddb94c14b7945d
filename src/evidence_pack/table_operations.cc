#include <map>

#include "base/bytes.h"
#include "evidence_pack/coverage.h"
#include "evidence_pack/tables.h"

namespace sallyport::evidence_pack {
namespace {

/// Entries that say that something was done which has to be done now and then.
class Operations final : public Table {
 public:
  explicit Operations(Pack& pack)
      : reviews_(pack.Open("evidence/10.4.1/reviews.csv"), kColumns()),
        integrity_(pack.Open("evidence/11.5.2/integrity-checks.csv"), kColumns()),
        deliveries_(pack.Open("evidence/10.3.3/deliveries.csv"), kColumns()),
        drills_(pack.Open("evidence/10.5.1/drills.csv"), kColumns()),
        scans_(pack.Open("evidence/03.5.1/scans.csv"), kColumns()),
        bypasses_(pack.Open("evidence/07.2.6/bypass.csv"), kColumns()),
        policies_(pack.Open("evidence/07.2.3/policy-versions.csv"), kColumns()) {}

  void Add(const Record& record) override {
    if (first_ == 0) first_ = record.at;
    last_ = record.at;
    if (!record.inside) return;
    if (record.Is("review.made") || record.Is("review.signed")) {
      Row(reviews_, record);
      (record.Is("review.made") ? made_ : signed_).insert(Day(record.at));
    }
    if (record.Is("integrity.checked") || record.Is("log.start")) {
      Row(integrity_, record);
      if (record.Is("integrity.checked")) ++checks_;
    }
    if (record.Is("delivery.reported")) Row(deliveries_, record);
    if (record.Is("drill.made")) {
      Row(drills_, record);
      const std::string about = std::string(record.Text("r")) + std::string(record.Text("detail"));
      if (about.find("tamper") != std::string::npos) ++tampering_;
    }
    if (record.Is("scan.made")) {
      Row(scans_, record);
      found_ += record.Number("count");
    }
    if (record.Is("bypass.found")) Row(bypasses_, record);
    if (record.Is("policy.adopted") || record.Is("config.loaded")) {
      Row(policies_, record);
      if (record.Is("policy.adopted")) ++adopted_;
    }
    if (record.Is("log.heartbeat") && record.Text("detail").starts_with("clock synchronized")) {
      unsigned long worst = 0;
      std::string detail(record.Text("detail"));
      if (std::sscanf(detail.c_str(), "clock synchronized, at most %lu us", &worst) == 1)
        worst_us_ = std::max<uint64_t>(worst_us_, worst);
    }
  }

  void Finish(Pack& pack, const History&) override {
    pack.Register({"10.4.1", "10.4.1.1", "10.4.3"}, reviews_.file().name(),
                  "Daily reviews and who signed them", "review.made, review.signed",
                  reviews_.rows(), "population");
    if (made_.empty()) pack.Missing({"10.4.1", "10.4.1.1"}, "no daily review in this period");
    pack.Figure({"10.4.1", "10.4.1.1"}, "days_reviewed", made_.size());
    pack.Figure({"10.4.1"}, "days_signed", signed_.size());
    Days(pack);
    Simple(pack, {"11.5.2"}, integrity_, "Digests of program, configuration and detectors",
           "integrity.checked, log.start", checks_ == 0 ? "no check of files in this period" : "");
    Simple(pack, {"10.3.3"}, deliveries_, "What receivers confirmed", "delivery.reported",
           deliveries_.rows() == 0 ? "no report of a receiver in this period" : "");
    Simple(pack, {"10.5.1", "10.3.4"}, drills_, "Drills of restoring and of tampering",
           "drill.made", "");
    if (drills_.rows() == 0) pack.Missing({"10.5.1"}, "no drill of restoring in this period");
    pack.Figure({"10.3.4"}, "drills_of_tampering", tampering_);
    Simple(pack, {"3.3.1", "3.3.2", "3.5.1", "12.10.7"}, scans_,
           "Scans of everything at rest for card numbers and authentication data", "scan.made", "");
    if (scans_.rows() == 0)
      pack.Missing({"3.3.1", "3.3.2", "3.5.1"}, "no scan of what is at rest in this period");
    if (found_ > 0)
      pack.Exception({"3.3.1", "3.5.1", "12.10.7"},
                     std::to_string(found_) + " found by scans of what is at rest");
    Simple(pack, {"7.2.6"}, bypasses_, "Sessions at databases that did not come by the gateway",
           "bypass.found", "");
    Simple(pack, {"7.2.3"}, policies_, "Versions of the policy, and who stands for them",
           "policy.adopted, config.loaded",
           adopted_ == 0 ? "no policy was adopted by a named person in this period" : "");
    pack.Figure({"10.5.1"}, "first_entry_of_the_log", Moment(first_));
    pack.Figure({"10.5.1"}, "last_entry_of_the_log", Moment(last_));
    pack.Figure({"10.5.1"}, "days_kept", uint64_t(last_ - first_) / 86'400'000'000'000ull);
    pack.Figure({"10.6.1"}, "largest_error_of_a_synchronized_clock_us", worst_us_);
  }

 private:
  static constexpr std::initializer_list<std::string_view> kColumns() {
    static constexpr std::initializer_list<std::string_view> kList{
        "index", "time", "leaf",  "event",  "about", "policy",
        "by",    "ok",   "count", "detail", "facts"};
    return kList;
  }

  static void Row(Csv& csv, const Record& record) {
    const json::Value access = record.root["acc"];
    csv.Cell(record.index).When(record.at).Raw(Base64Encode(*record.leaf)).Cell(record.event);
    csv.Cell(record.Text("r")).Cell(record.Text("p")).Cell(access["by"].string().value_or(""));
    csv.YesNo(record.root["ok"].boolean().value_or(true)).Cell(record.Number("count"));
    std::string detail(record.Text("detail"));
    const std::string_view why = access["why"].string().value_or("");
    if (!why.empty()) detail += (detail.empty() ? "" : "; ") + std::string(why);
    csv.Cell(detail.substr(0, 1000));
    csv.Cell(record.root["facts"] ? record.root["facts"].raw().substr(0, 4000) : "").End();
  }

  static void Simple(Pack& pack, std::vector<std::string> requirements, Csv& csv, const char* title,
                     const char* query, const char* missing) {
    for (const std::string& id : requirements) {
      if (*missing != 0) pack.Of(id).missing.push_back(missing);
      pack.Of(id).figures[csv.file().name().substr(csv.file().name().rfind('/') + 1)] = csv.rows();
    }
    pack.Register(std::move(requirements), csv.file().name(), title, query, csv.rows(),
                  "population");
  }

  /// Whole days of the period, and which of them were reviewed.
  void Days(Pack& pack) {
    constexpr Nanos kDay = 86'400'000'000'000;
    Csv days(pack.Open("evidence/10.4.1/days.csv"), {"day", "reviewed", "signed"});
    uint64_t without = 0;
    for (Nanos day = pack.head().from / kDay * kDay; day < pack.head().to; day += kDay) {
      const std::string name = Day(day);
      days.Cell(name).YesNo(made_.contains(name)).YesNo(signed_.contains(name)).End();
      if (!made_.contains(name)) ++without;
    }
    pack.Register({"10.4.1", "10.4.1.1"}, days.file().name(), "Calendar of reviews",
                  "days of the period (UTC) on which a review was made or signed", days.rows(),
                  "summary");
    if (!made_.empty() && without > 0)
      pack.Exception({"10.4.1", "10.4.1.1"}, std::to_string(without) + " days without a review");
  }

  Csv reviews_, integrity_, deliveries_, drills_, scans_, bypasses_, policies_;
  std::set<std::string> made_, signed_;
  Nanos first_ = 0, last_ = 0;
  uint64_t checks_ = 0, tampering_ = 0, found_ = 0, adopted_ = 0, worst_us_ = 0;
};

}  // namespace

std::unique_ptr<Table> OperationTable(Pack& pack) { return std::make_unique<Operations>(pack); }

}  // namespace sallyport::evidence_pack
