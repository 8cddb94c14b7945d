#include <algorithm>
#include <openssl/evp.h>

#include "base/bytes.h"
#include "evidence_pack/papers.h"

namespace sallyport::evidence_pack {
namespace {

constexpr const char* kVersion = "1.2.3";  // of OSCAL (pages.nist.gov/OSCAL)

/// A version 5 UUID (RFC 9562 section 5.5) of what it names: the same pack has the same ones. One
/// whose groups have no letter would look like a number of a card to a reader in a hurry: the next
/// one is taken.
class Uuids {
 public:
  explicit Uuids(const Pack& pack)
      : base_("sallyport evidence pack " + pack.head().origin + " " + pack.Period()) {}

  std::string Of(const std::string& name) const {
    for (int i = 0;; ++i) {
      std::string uuid = Make(base_ + " " + name + " " + std::to_string(i));
      bool letters = true;
      for (size_t at = 0; at < uuid.size();) {
        const size_t end = std::min(uuid.find('-', at), uuid.size());
        letters =
            letters && std::any_of(uuid.begin() + ptrdiff_t(at), uuid.begin() + ptrdiff_t(end),
                                   [](char c) { return c >= 'a'; });
        at = end + 1;
      }
      if (letters) return uuid;
    }
  }

 private:
  static std::string Make(const std::string& name) {
    uint8_t digest[EVP_MAX_MD_SIZE];
    EVP_Digest(name.data(), name.size(), digest, nullptr, EVP_sha1(), nullptr);
    digest[6] = uint8_t((digest[6] & 0x0f) | 0x50);
    digest[8] = uint8_t((digest[8] & 0x3f) | 0x80);
    const std::string hex = HexEncode({digest, 16});
    return hex.substr(0, 8) + '-' + hex.substr(8, 4) + '-' + hex.substr(12, 4) + '-' +
           hex.substr(16, 4) + '-' + hex.substr(20, 12);
  }
  std::string base_;
};

std::string ControlId(std::string_view requirement) { return "pci-" + std::string(requirement); }

Json Metadata(const Pack& pack, const std::string& title) {
  return {{"title", title},
          {"last-modified", Moment(pack.head().to)},
          {"version", Day(pack.head().to)},
          {"oscal-version", kVersion}};
}

/// Ids and titles of our own, grouped by the first number.
Json Catalog(const Pack& pack, const Uuids& uuids) {
  Json groups = Json::array();
  for (const Requirement& r : Requirements()) {
    const std::string family(r.id.substr(0, r.id.find('.')));
    if (groups.empty() || groups.back()["id"] != "pci-" + family)
      groups.push_back({{"id", "pci-" + family},
                        {"title", "Requirement " + family},
                        {"controls", Json::array()}});
    groups.back()["controls"].push_back({{"id", ControlId(r.id)}, {"title", r.title}});
  }
  return {{"catalog",
           {{"uuid", uuids.Of("catalog")},
            {"metadata", Metadata(pack,
                                  "Sub-requirements of PCI DSS v4.0.1 that a gateway can "
                                  "evidence: ids, and titles of our own")},
            {"groups", groups}}}};
}

Json Component(const Pack& pack, const Uuids& uuids) {
  Json implemented = Json::array();
  for (const Requirement& r : Requirements()) {
    if (r.split == Split::customer || r.split == Split::not_applicable) continue;
    std::string what = std::string(SplitName(r.split)) + ".";
    if (!r.person.empty()) what += " A person: " + std::string(r.person);
    implemented.push_back({{"uuid", uuids.Of("implements " + std::string(r.id))},
                           {"control-id", ControlId(r.id)},
                           {"description", what}});
  }
  return {{"component-definition",
           {{"uuid", uuids.Of("component definition")},
            {"metadata", Metadata(pack, "What the gateway does for each sub-requirement")},
            {"components",
             {{{"uuid", uuids.Of("component")},
               {"type", "software"},
               {"title", "sallyport"},
               {"description",
                "Identity-aware gateway between callers and the systems that hold "
                "cardholder data"},
               {"control-implementations",
                {{{"uuid", uuids.Of("implementation")},
                  {"source", "catalog.json"},
                  {"description", "By the gateway " + pack.head().origin},
                  {"implemented-requirements", implemented}}}}}}}}}};
}

Json Observation(const Pack& pack, const Uuids& uuids, const Artefact& a) {
  Json evidence{{"href", "../" + a.file}, {"description", a.title}};
  evidence["props"] = {
      {{"name", "sha256"}, {"ns", "https://sallyport.invalid/ns/oscal"}, {"value", a.sha256}}};
  return {{"uuid", uuids.Of("observation " + a.file)},
          {"title", a.title},
          {"description", a.query + ": " + std::to_string(a.population)},
          {"methods", {a.type == "check" ? "TEST" : "EXAMINE"}},
          {"collected", Moment(pack.head().to)},
          {"relevant-evidence", {std::move(evidence)}}};
}

/// A finding is made where the evidence is whole and computed; all else is an assessor's.
Json Findings(const Pack& pack, const Uuids& uuids) {
  Json findings = Json::array();
  for (const Requirement& r : Requirements()) {
    const Status status = pack.StatusOf(r);
    if (status != Status::evidenced && status != Status::exceptions) continue;
    std::string what(StatusName(status));
    for (const std::string& exception : pack.AnswerOf(r.id).exceptions) what += "; " + exception;
    Json related = Json::array();
    for (const Artefact& a : pack.artefacts()) {
      if (std::ranges::find(a.requirements, r.id) != a.requirements.end())
        related.push_back({{"observation-uuid", uuids.Of("observation " + a.file)}});
    }
    Json finding{
        {"uuid", uuids.Of("finding " + std::string(r.id))},
        {"title", std::string(r.id) + ": " + std::string(r.title)},
        {"description", what + ". Whether the requirement is met is for the assessor to say."},
        {"target",
         {{"type", "objective-id"},
          {"target-id", ControlId(r.id)},
          {"status",
           {{"state", status == Status::evidenced ? "satisfied" : "not-satisfied"},
            {"reason", "other"},
            {"remarks",
             "State of the evidence that the gateway computes, not of the requirement."}}}}}};
    finding["related-observations"] = std::move(related);
    findings.push_back(std::move(finding));
  }
  return findings;
}

Json Results(const Pack& pack, const Uuids& uuids) {
  Json observations = Json::array(), controls = Json::array();
  for (const Artefact& a : pack.artefacts()) observations.push_back(Observation(pack, uuids, a));
  for (const Requirement& r : Requirements()) controls.push_back({{"control-id", ControlId(r.id)}});
  Json selection = Json::object();
  selection["include-controls"] = std::move(controls);
  Json result{{"uuid", uuids.Of("result")},
              {"title", "Evidence of " + pack.head().origin},
              {"description", pack.Summary()},
              {"start", Moment(pack.head().from)},
              {"end", Moment(pack.head().to)}};
  result["reviewed-controls"]["control-selections"] = Json::array({std::move(selection)});
  result["observations"] = std::move(observations);
  if (Json findings = Findings(pack, uuids); !findings.empty())
    result["findings"] = std::move(findings);
  Json out;
  Json& body = out["assessment-results"];
  body["uuid"] = uuids.Of("assessment results");
  body["metadata"] = Metadata(pack, "Evidence pack of " + pack.head().origin);
  body["import-ap"]["href"] = "#" + uuids.Of("no plan");
  body["results"] = Json::array({std::move(result)});
  body["back-matter"]["resources"] = Json::array(
      {{{"uuid", uuids.Of("no plan")},
        {"title", "No assessment plan"},
        {"description",
         "This is evidence that a gateway has collected; the assessor has the plan."}}});
  return out;
}

}  // namespace

void AddOscal(Pack& pack) {
  const Uuids uuids(pack);
  const auto put = [&](const char* name, const Json& document) {
    pack.Put(std::string("oscal/") + name,
             document.dump(1, ' ', false, Json::error_handler_t::replace) + "\n");
  };
  put("catalog.json", Catalog(pack, uuids));
  put("component-definition.json", Component(pack, uuids));
  put("assessment-results.json", Results(pack, uuids));
}

}  // namespace sallyport::evidence_pack
