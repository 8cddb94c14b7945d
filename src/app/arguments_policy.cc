#include "app/arguments.h"
#include "app/policy_versions.h"
#include "app/verbs.h"

namespace sallyport::app {

void AddPolicyHistory(CLI::App& policy, Chosen& chosen) {
  static PolicyWhatIfOptions what_if;
  CLI::App* c =
      Command(policy, "whatif", "Judges what a log holds again by other rules: what would differ",
              "sallyport policy whatif --config new.yaml --against /var/lib/sallyport");
  c->add_option("--config", what_if.config, "configuration with the other rules")->required();
  c->add_option("--against", what_if.data_dir, "data directory, or a copy of it")->required();
  c->add_option("--from", what_if.from, "operations from this time on (RFC 3339)");
  c->add_option("--to", what_if.to, "operations before this time");
  c->add_option("--allow", what_if.allow, "so many other verdicts are none too many")
      ->capture_default_str();
  c->add_option("--allow-unknown", what_if.unknown,
                "so many that cannot be told are none too many (default: any number)")
      ->check(CLI::NonNegativeNumber);
  c->add_option("--examples", what_if.examples, "shows so many that differ")->capture_default_str();
  c->add_flag("--json", what_if.json, "result as JSON");
  c->callback([&chosen] { chosen = [] { return RunPolicyWhatIf(what_if); }; });

  static PolicyLogOptions log;
  c = Command(policy, "log",
              "The versions of the rules that a log tells of, and who stands for them",
              "sallyport policy log /var/lib/sallyport");
  c->add_option("data_dir", log.data_dir, "data directory, or a copy of it")->required();
  c->add_flag("--json", log.json, "one JSON object a line");
  c->callback([&chosen] { chosen = [] { return RunPolicyLog(log); }; });
}

}  // namespace sallyport::app
