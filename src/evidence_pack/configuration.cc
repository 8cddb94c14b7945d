#include "evidence_pack/probes.h"
#include "evidence_pack/tables.h"

namespace sallyport::evidence_pack {
namespace {

std::string Joined(const std::vector<std::string>& list) {
  std::string out;
  for (const std::string& item : list) out += (out.empty() ? "" : " ") + item;
  return out;
}

std::string Labels(const std::map<std::string, std::string>& labels) {
  std::string out;
  for (const auto& [key, value] : labels) out += (out.empty() ? "" : " ") + key + ": " + value;
  return out;
}

std::string_view EffectName(op::Verdict effect) {
  switch (effect) {
    case op::Verdict::allow:
      return "allow";
    case op::Verdict::approve:
      return "approve";
    case op::Verdict::deny:
      return "deny";
  }
  return "deny";
}

/// 7.2.1, 7.2.2: role × resource × action, as the rules say it.
void AccessModel(Pack& pack) {
  Csv csv(pack.Open("evidence/07.2.1/access-model.csv"),
          {"rule", "effect", "who", "connection", "labels", "tools", "prompts", "resources",
           "statements", "relations", "columns_denied", "conditions", "rows_at_most",
           "calls_at_most", "second_factor", "approval_flow"});
  for (const policy::RuleSpec& rule : pack.setup().policies.rules) {
    csv.Cell(rule.id).Cell(EffectName(rule.effect)).Cell(Joined(rule.who));
    csv.Cell(rule.connection.empty() ? "any with these labels" : rule.connection);
    csv.Cell(Labels(rule.labels)).Cell(rule.tools ? Joined(*rule.tools) : "");
    csv.Cell(rule.prompts ? Joined(*rule.prompts) : "");
    csv.Cell(rule.resources ? Joined(*rule.resources) : "");
    csv.Cell(rule.sql ? Joined(rule.sql->statements) : "");
    csv.Cell(rule.sql ? Joined(rule.sql->relations) : "");
    csv.Cell(rule.sql ? Joined(rule.sql->columns_deny) : "");
    csv.Cell(uint64_t(rule.args.size())).Cell(rule.sql ? rule.sql->max_rows : 0);
    csv.Cell(rule.rate ? std::to_string(rule.rate->calls) + " in " +
                             std::to_string(rule.rate->period_seconds) + " s"
                       : "");
    csv.YesNo(rule.require.mfa).Cell(rule.approval).End();
  }
  pack.Register({"7.2.1", "7.2.2", "7.3.2"}, csv.file().name(),
                "Access model: who may do what where, rule by rule; nothing else is allowed",
                "policies of the configuration", csv.rows(), "configuration");
  Json roles = Json::object();
  for (const auto& [role, who] : pack.setup().roles) roles[role] = who;
  pack.PutJson("evidence/10.3.1/roles.json", "identity.roles of the configuration",
               {{"roles", roles}});
  pack.Register({"10.3.1", "7.2.1"}, "evidence/10.3.1/roles.json",
                "Roles at the gateway itself, auditors among them", "identity.roles",
                pack.setup().roles.size(), "configuration");
}

void Transport(Pack& pack) {
  const Setup& setup = pack.setup();
  Csv csv(pack.Open("evidence/04.2.1/transport.csv"), {"where", "name", "address", "protection"});
  for (const auto& [name, address] : setup.listeners)
    csv.Cell("listener")
        .Cell(name)
        .Cell(address)
        .Cell(name == "http"  ? "none: loopback only"
              : name == "ops" ? "none: figures and health only"
                              : "TLS " + setup.tls_minimum + " and later")
        .End();
  uint64_t open = 0;
  for (const Setup::Connection& c : setup.connections) {
    csv.Cell("upstream").Cell(c.name).Cell(c.target).Cell(c.transport).End();
    if (c.transport.starts_with("none")) ++open;
  }
  pack.Register({"4.2.1", "12.3.3"}, csv.file().name(), "Protection of every way in and out",
                "listeners and connections of the configuration", csv.rows(), "configuration");
  pack.Figure({"4.2.1"}, "upstreams_without_encryption", open);
  if (open > 0)
    pack.Exception({"4.2.1"}, std::to_string(open) + " upstreams are reached without encryption");
}

void Certificates(Pack& pack) {
  Csv csv(pack.Open("evidence/04.2.1.1/certificate-inventory.csv"),
          {"use", "subject", "issuer", "sha256", "not_before", "not_after", "state", "file"});
  uint64_t bad = 0;
  for (const Setup::Certificate& c : pack.setup().certificates) {
    const bool ended = c.not_after != 0 && c.not_after < pack.head().to;
    const bool unreadable = c.fingerprint.empty();
    bad += ended || unreadable ? 1 : 0;
    csv.Cell(c.use).Cell(c.subject).Cell(c.issuer).Cell(c.fingerprint).When(c.not_before);
    csv.When(c.not_after);
    csv.Cell(unreadable ? "cannot be read" : ended ? "ended before the period did" : "valid");
    csv.Cell(c.file).End();
  }
  pack.Register({"4.2.1.1", "12.3.3"}, csv.file().name(), "Inventory of certificates",
                "files that the configuration names", csv.rows(), "configuration");
  pack.Figure({"4.2.1.1"}, "certificates", csv.rows());
  if (bad > 0)
    pack.Exception({"4.2.1.1"}, std::to_string(bad) + " certificates have ended or cannot be read");
}

void Components(Pack& pack) {
  Csv csv(pack.Open("evidence/12.5.1/components.csv"),
          {"component", "name", "kind", "address", "labels", "cardholder_data"});
  const Setup& setup = pack.setup();
  csv.Cell("gateway").Cell(pack.head().origin).Cell("sallyport " + pack.head().version);
  csv.Cell(setup.public_url).Cell("").Cell("passes through").End();
  for (const Setup::Connection& c : setup.connections) {
    csv.Cell("upstream").Cell(c.name).Cell(c.kind).Cell(c.target).Cell(Labels(c.labels));
    csv.Cell(c.cde() ? "yes, as labelled" : "not as labelled").End();
  }
  const auto others = [&](const char* what, const auto& list) {
    for (const auto& [name, kind] : list)
      csv.Cell(what).Cell(name).Cell(kind).Cell("").Cell("").Cell("").End();
  };
  others("identity provider", setup.providers);
  others("receiver of the log", setup.exports);
  others("witness", setup.witnesses);
  pack.Register({"12.5.1", "7.3.1"}, csv.file().name(), "Components that the gateway knows",
                "configuration", csv.rows(), "configuration");
  pack.Figure({"10.3.3"}, "receivers_of_the_log", setup.exports.size());
  pack.Figure({"10.3.4"}, "witnesses", setup.witnesses.size());
}

}  // namespace

void AddConfiguration(Pack& pack) {
  if (!pack.setup().given) {
    pack.Missing(
        {"4.2.1", "4.2.1.1", "7.2.1", "7.2.2", "7.3.1", "7.3.2", "7.3.3", "12.3.3", "12.5.1"},
        "the configuration was not given");
    return;
  }
  AccessModel(pack);
  Transport(pack);
  Certificates(pack);
  Components(pack);
  AddProbes(pack);
  const auto days = pack.setup().retention.count() / 86'400'000;
  pack.Figure({"3.2.1", "10.5.1"}, "recordings_are_kept_for_days",
              days > 0 ? Json(days) : Json("results stand in the entries of the log"));
}

}  // namespace sallyport::evidence_pack
