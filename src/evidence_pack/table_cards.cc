#include <array>
#include <map>

#include "base/bytes.h"
#include "evidence_pack/tables.h"

namespace sallyport::evidence_pack {
namespace {

/// A place in a message, without the numbers of rows: "/result/rows/17/pan" is
/// "/result/rows/*/pan".
std::string PlaceOf(std::string_view pointer) {
  std::string out;
  for (size_t at = 0; at < pointer.size();) {
    const size_t end = std::min(pointer.find('/', at + 1), pointer.size());
    const std::string_view part = pointer.substr(at, end - at);
    const bool number = part.size() > 1 && part.find_first_not_of("0123456789", 1) == part.npos;
    out += number ? "/*" : part;
    at = end;
  }
  return out;
}

/// No count or date stands behind a name: "/result/cvv,123" would read as such a code.
///
/// Where card numbers and authentication data came by, what was shown of them, and to whom.
class Cards final : public Table {
 public:
  explicit Cards(Pack& pack)
      : sad_(pack.Open("evidence/03.3.1/authentication-data-seen.csv"),
             {"index", "time", "leaf", "event", "person", "agent", "count", "connection",
              "resource", "place", "action"}),
        views_(pack.Open("evidence/03.4.1/values-shown-in-clear.csv"),
               {"index", "time", "leaf", "person", "issuer", "subject", "agent", "different_values",
                "places", "connection", "resource", "approval"}),
        found_(pack.Open("evidence/12.10.7/columns-found.csv"),
               {"index", "time", "leaf", "connection", "values", "column", "detail"}) {}

  void Add(const Record& record) override {
    if (!record.inside) return;
    if (record.Is("column.found")) Column(record);
    for (json::Value m = record.root["mask"].first(); m; m = m.next()) Masked(record, m);
    const json::Value clear = record.root["um"];
    const uint64_t values = uint64_t(clear["n"].integer().value_or(0));
    if (record.Is("call.outcome") && values > 0 && record.call != nullptr) {
      static const Person kNobody;
      const Person& who = record.who() != nullptr ? *record.who() : kNobody;
      views_.Cell(record.index).When(record.at).Raw(Base64Encode(*record.leaf));
      views_.Cell(who.name).Cell(who.issuer).Cell(who.subject).Cell(who.agent);
      views_.Cell(values).Cell(uint64_t(clear["at"].integer().value_or(0)));
      views_.Cell(record.call->connection).Cell(record.call->resource);
      views_.Cell(record.call->approval).End();
      shown_ += values;
    }
    if (record.Is("call.denied") && record.Text("why") == "unmask-denied") ++refused_views_;
  }

  void Finish(Pack& pack, const History&) override {
    pack.Register({"3.3.1", "3.3.2"}, sad_.file().name(),
                  "Authentication data that came by, and what was done",
                  "entries whose masking counts kind sad", sad_.rows(), "population");
    pack.Figure({"3.3.1"}, "removed", removed_);
    pack.Register({"3.4.1"}, views_.file().name(), "Who was shown values in clear",
                  "call.outcome with values in clear", views_.rows(), "population");
    pack.Figure({"3.4.1"}, "values_shown_in_clear", shown_);
    pack.Figure({"3.4.1"}, "refused_to_show", refused_views_);
    pack.Figure({"3.4.1", "3.5.1"}, "values_masked", masked_);
    pack.Register({"12.10.7", "12.5.2", "3.2.1"}, found_.file().name(),
                  "Card numbers in columns that are not classified: one case each", "column.found",
                  found_.rows(), "population");
    if (found_.rows() > 0)
      pack.Exception(
          {"12.10.7", "12.5.2"},
          std::to_string(found_.rows()) + " findings of card numbers where none were expected");
    Csv map(pack.Open("evidence/12.5.2/pan-map.csv"),
            {"connection", "count", "first_seen", "last_seen", "resource", "direction", "place",
             "kind", "identity"});
    for (const auto& [key, use] : places_) {
      map.Cell(key[0]).Cell(use.count).When(use.first).When(use.last);
      for (size_t i = 1; i < key.size(); ++i) map.Cell(key[i]);
      map.End();
    }
    pack.Register({"12.5.2", "4.2.2"}, map.file().name(),
                  "Map of card numbers: where they came by, which way, for whom",
                  "what was masked in every message", map.rows(), "population");
    pack.Figure({"12.5.2"}, "places", map.rows());
    Methods(pack);
    Unmask(pack);
  }

 private:
  struct Use {
    uint64_t count = 0;
    Nanos first = 0, last = 0;
  };

  void Column(const Record& record) {
    found_.Cell(record.index)
        .When(record.at)
        .Raw(Base64Encode(*record.leaf))
        .Cell(record.Text("c"));
    found_.Cell(record.Number("count")).Cell(record.Text("r")).Cell(record.Text("detail")).End();
    Count({std::string(record.Text("c")), std::string(record.Text("r")), "column", "", "pan", ""},
          record.Number("count"), record.at);
  }

  void Masked(const Record& record, json::Value m) {
    const std::string kind(m["k"].string().value_or(""));
    const uint64_t n = uint64_t(m["n"].integer().value_or(0));
    const bool answer = record.Is("call.outcome") || record.Is("call.event");
    const Person* who = record.who();
    std::string connection(record.Text("c")), resource(record.Text("r"));
    if (record.call != nullptr)
      connection = record.call->connection, resource = record.call->resource;
    const std::string place = PlaceOf(m["p"].string().value_or(""));
    if (kind == "sad") {
      removed_ += n;
      sad_.Cell(record.index).When(record.at).Raw(Base64Encode(*record.leaf)).Cell(record.event);
      sad_.Cell(who != nullptr ? who->label() : "").Cell(who != nullptr ? who->agent : "");
      sad_.Cell(n).Cell(connection).Cell(resource).Cell(place);
      sad_.Cell(record.Is("call.denied") || record.Is("request.refused") ? "refused" : "removed")
          .End();
    } else {
      masked_ += n;
    }
    Count({connection, resource, answer ? "out of the upstream" : "into the upstream", place, kind,
           who == nullptr       ? ""
           : who->agent.empty() ? "person"
                                : "agent"},
          n, record.at);
  }

  void Count(const std::array<std::string, 6>& key, uint64_t n, Nanos at) {
    if (places_.size() >= kMostPlaces && !places_.contains(key)) {
      Use& rest = places_[{"*", "*", "*", "more places than are listed", key[4], "*"}];
      rest.count += n;
      return;
    }
    Use& use = places_[key];
    use.count += n;
    if (use.first == 0) use.first = at;
    use.last = at;
  }

  static std::string RenderName(mask::Render render) {
    switch (render) {
      case mask::Render::last4:
        return "last four digits";
      case mask::Render::first6_last4:
        return "first six and last four digits";
      case mask::Render::full:
        return "no digit";
      case mask::Render::token:
        return "keyed token";
    }
    return "no digit";
  }

  void Methods(Pack& pack) {
    if (!pack.setup().given) {
      pack.Missing({"3.5.1.1"}, "the configuration was not given");
      return;
    }
    Json detectors = Json::array();
    std::set<mask::Render> forms;
    for (const mask::DetectorSpec& d : pack.setup().detectors) {
      const bool pan = d.kind == mask::DetectorKind::pan;
      detectors.push_back(
          {{"name", d.name},
           {"kind", pan                                 ? "pan"
                    : d.kind == mask::DetectorKind::sad ? "sad"
                                                        : "regex"},
           {"shown_as",
            d.kind == mask::DetectorKind::sad ? "nothing: removed" : RenderName(d.render)},
           {"message", d.action == mask::Action::block ? "refused" : "goes on, masked"}});
      if (pan) forms.insert(d.render);
    }
    const std::string file = "evidence/03.5.1.1/forms-and-tokens.json";
    pack.PutJson(file, "masking.detectors of the configuration",
                 {{"detectors", detectors},
                  {"forms_of_one_card_number_in_use", forms.size()},
                  {"token",
                   {{"method", "HMAC-SHA-256 over the whole number, cut to 130 bits"},
                    {"key", "at least 128 bits; its id is part of each token"},
                    {"unkeyed_hashes", "none are made, of numbers or of messages"}}}});
    pack.Register({"3.5.1", "3.5.1.1", "3.4.1"}, file,
                  "Forms in which card numbers are kept and shown", "configuration",
                  detectors.size(), "configuration");
    if (forms.size() > 1)
      pack.Exception({"3.5.1"}, "more than one form of the same card numbers is in use");
  }

  void Unmask(Pack& pack) {
    if (!pack.setup().given) return;
    Csv csv(pack.Open("evidence/03.4.1/who-may-see-clear-values.csv"),
            {"who", "detectors", "approved_by_flow", "approvers", "needed", "values_at_most",
             "minutes", "business need (person)"});
    const auto joined = [](const std::vector<std::string>& list) {
      std::string out;
      for (const std::string& item : list) out += (out.empty() ? "" : " ") + item;
      return out;
    };
    for (const policy::UnmaskGrant& grant : pack.setup().unmask) {
      std::string approvers;
      uint32_t need = 0;
      for (const Setup::Flow& flow : pack.setup().flows) {
        if (flow.name == grant.approval) approvers = joined(flow.approvers), need = flow.need;
      }
      csv.Cell(joined(grant.who))
          .Cell(joined(grant.detectors))
          .Cell(grant.approval)
          .Cell(approvers);
      csv.Cell(uint64_t(need)).Cell(grant.max_values);
      csv.Cell(uint64_t(std::chrono::duration_cast<std::chrono::minutes>(grant.ttl).count()));
      csv.Cell("").End();
    }
    pack.Register({"3.4.1"}, csv.file().name(), "Who may ask to see values in clear",
                  "masking.unmask of the configuration", csv.rows(), "form");
  }

  static constexpr size_t kMostPlaces = 50'000;
  Csv sad_, views_, found_;
  std::map<std::array<std::string, 6>, Use> places_;
  uint64_t removed_ = 0, masked_ = 0, shown_ = 0, refused_views_ = 0;
};

}  // namespace

std::unique_ptr<Table> CardTable(Pack& pack) { return std::make_unique<Cards>(pack); }

}  // namespace sallyport::evidence_pack
