#include "evidence_pack/coverage.h"

#include <map>
#include <sys/stat.h>

namespace sallyport::evidence_pack {
namespace {

uint64_t Seconds(Nanos from, Nanos to) {
  return to > from ? uint64_t(to - from) / 1'000'000'000 : 0;
}

void Failures(Pack& pack, const ledger::Coverage& coverage) {
  Csv failures(pack.Open("evidence/10.7.2/control-failures.csv"),
               {"control", "from", "to", "seconds", "index", "operations_meanwhile", "detected_by",
                "cause_as_recorded"});
  Csv form(
      pack.Open("evidence/10.7.3/failure-response.csv"),
      {"control", "from", "to", "seconds", "operations_meanwhile", "cause_as_recorded",
       "root_cause (person)", "security_issues_that_arose (person)", "risk_assessment (person)",
       "prevention (person)", "monitoring_resumed", "approved_by (person)"});
  uint64_t open = 0;
  for (const ledger::Coverage::Failure& f : coverage.failures) {
    const Nanos end = f.to != 0 ? f.to : coverage.to;
    failures.Cell(f.control).When(f.from).When(f.to).Cell(Seconds(f.from, end)).Cell(f.index);
    failures.Cell(f.operations).Cell("gateway, within a second").Cell(f.cause).End();
    form.Cell(f.control).When(f.from).When(f.to).Cell(Seconds(f.from, end)).Cell(f.operations);
    form.Cell(f.cause).Cell("").Cell("").Cell("").Cell("").When(f.to).Cell("").End();
    if (f.to == 0) ++open;
  }
  pack.Register({"10.7.1", "10.7.2", "12.10.5"}, failures.file().name(),
                "Failures of security controls", "control.failed to control.restored",
                failures.rows(), "population");
  pack.Register({"10.7.3", "10.4.3"}, form.file().name(),
                "Form for the answer to each failure: times are computed, the rest is a person's",
                "control.failed to control.restored", form.rows(), "form");
  pack.Figure({"10.7.1", "10.7.2", "10.7.3"}, "failures", coverage.failures.size());
  if (open > 0)
    pack.Exception({"10.7.1", "10.7.2", "10.7.3"},
                   std::to_string(open) + " controls had not been restored when the period ended");
}

void Clock(Pack& pack, const ledger::Coverage& coverage) {
  Json steps = Json::array();
  for (const ledger::Coverage::Step& s : coverage.steps)
    steps.push_back({{"time", Moment(s.at)}, {"by", s.by}, {"index", s.index}});
  const std::string file = "evidence/10.6.1/clock.json";
  pack.PutJson(file, "log.heartbeat (every 10 seconds), clock.stepped",
               {{"heartbeats", coverage.heartbeats},
                {"with_a_synchronized_clock", coverage.synchronized},
                {"steps", std::move(steps)}});
  pack.Register({"10.6.1", "10.6.3"}, file, "State and steps of the clock",
                "log.heartbeat, clock.stepped", coverage.heartbeats, "summary");
  pack.Figure({"10.6.1"}, "heartbeats", coverage.heartbeats);
  pack.Figure({"10.6.1"}, "with_a_synchronized_clock", coverage.synchronized);
  pack.Figure({"10.6.3"}, "steps", coverage.steps.size());
  if (coverage.heartbeats == 0)
    pack.Missing({"10.6.1"}, "no heartbeat in this period");
  else if (coverage.synchronized < coverage.heartbeats)
    pack.Exception({"10.6.1"}, "the clock was not synchronized at " +
                                   std::to_string(coverage.heartbeats - coverage.synchronized) +
                                   " of " + std::to_string(coverage.heartbeats) + " heartbeats");
  if (!coverage.steps.empty())
    pack.Exception({"10.6.3"},
                   "the clock was set " + std::to_string(coverage.steps.size()) + " times");
}

}  // namespace

void AddCoverage(Pack& pack, const ledger::Coverage& coverage) {
  Csv outages(pack.Open("evidence/10.2.1/outages.csv"),
              {"from", "to", "seconds", "cause", "entry_before", "entry_after"});
  uint64_t seconds = 0;
  for (const ledger::Coverage::Outage& o : coverage.outages) {
    outages.When(o.from).When(o.to).Cell(Seconds(o.from, o.to)).Cell(o.cause).Cell(o.before);
    outages.Cell(o.after).End();
    seconds += Seconds(o.from, o.to);
  }
  const std::string file = "evidence/10.2.1/coverage.json";
  pack.PutJson(file, "every entry of the log, by sallyport audit coverage",
               Json::parse(coverage.Json()));
  pack.Register({"10.2.1", "10.2.1.6", "10.5.1"}, file,
                "Every second of the period: covered, or a listed outage",
                "heartbeats, starts and stops", coverage.entries, "check");
  pack.Register({"10.2.1", "10.2.1.6"}, outages.file().name(), "Outages of the log",
                "15 seconds and more without an entry", outages.rows(), "population");
  pack.Figure({"10.2.1"}, "entries", coverage.entries);
  pack.Figure({"10.2.1"}, "seconds_in_the_period", Seconds(coverage.from, coverage.to));
  pack.Figure({"10.2.1"}, "seconds_of_outages", seconds);
  if (!coverage.outages.empty())
    pack.Exception({"10.2.1", "10.2.1.6"}, std::to_string(coverage.outages.size()) + " outages, " +
                                               std::to_string(seconds) + " seconds together");
  if (!coverage.miscounts.empty())
    pack.Exception({"10.2.1", "10.2.1.1"}, std::to_string(coverage.miscounts.size()) +
                                               " sessions whose end counts other operations than "
                                               "the log has");
  Clock(pack, coverage);
  Failures(pack, coverage);
}

void AddVerification(Pack& pack, const ledger::VerifyReport& report,
                     const std::filesystem::path& data_dir) {
  Json files = Json::array();
  for (const char* const name : {"", "log", "state", "recordings"}) {
    struct stat about{};
    if (::stat((data_dir / name).c_str(), &about) != 0) continue;
    char mode[8];
    std::snprintf(mode, sizeof mode, "%04o", unsigned(about.st_mode & 07777));
    files.push_back({{"directory", *name == 0 ? "data directory" : name},
                     {"mode", mode},
                     {"owner_uid", about.st_uid},
                     {"group_gid", about.st_gid}});
    if ((about.st_mode & 02) != 0)
      pack.Exception({"10.3.2"}, std::string(name) + " may be written by everybody");
  }
  const std::string file = "evidence/10.3.2/verification.json";
  pack.PutJson(file, "sallyport audit verify, before this pack was made",
               {{"ok", report.ok()},
                {"entries", report.entries},
                {"size", report.size},
                {"root", report.root},
                {"cosigned_size", report.cosigned_size ? Json(*report.cosigned_size) : Json()},
                {"directories", files}});
  pack.Register({"10.3.1", "10.3.2", "10.3.4"}, file,
                "The whole log was recomputed: entries, tree, signature, earlier heads",
                "sallyport audit verify", report.entries, "check");
  pack.Figure({"10.3.2", "10.3.4"}, "entries_verified", report.entries);
  pack.Figure({"10.3.4"}, "cosigned_by_witnesses_up_to",
              report.cosigned_size ? Json(*report.cosigned_size) : Json("nobody"));
}

}  // namespace sallyport::evidence_pack
