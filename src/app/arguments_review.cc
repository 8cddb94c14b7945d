#include "app/arguments.h"
#include "app/audit_bypass.h"
#include "app/audit_drill.h"
#include "app/audit_scan.h"
#include "app/review_cli.h"

namespace sallyport::app {

void AddReview(CLI::App& root, Chosen& chosen) {
  CLI::App* review = Command(root, "review", "The daily review: what happened, and who has seen it",
                             "sallyport review show 2026-11-21");
  review->require_subcommand(1);
  static ReviewOptions options;
  CLI::App* c = Command(*review, "list", "The latest days: reviewed, signed, missing",
                        "sallyport review list --days 90");
  c->add_option("--data-dir", options.data_dir, "data directory, or a copy of it");
  c->add_option("--days", options.days, "so many")->capture_default_str();
  c->add_flag("--json", options.json, "one JSON object a line");
  c->callback([&chosen] { chosen = [] { return RunReviewList(options); }; });

  c = Command(*review, "show", "The review of a day, as Markdown",
              "sallyport review show 2026-11-21");
  c->add_option("date", options.date, "the day, UTC")->required();
  c->add_option("--data-dir", options.data_dir, "data directory, or a copy of it");
  c->add_flag("--json", options.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunReviewShow(options); }; });

  c = Command(*review, "make", "Has the gateway make the review of a day again",
              "sallyport review make --date 2026-11-21 --config /etc/sallyport/sallyport.yaml");
  c->add_option("--date", options.date, "the day, UTC")->required();
  c->add_option("--config", options.config, "configuration file: names the data directory");
  c->add_option("--data-dir", options.data_dir, "data directory");
  c->callback([&chosen] { chosen = [] { return RunReviewMake(options); }; });

  c = Command(*review, "sign", "Says that you have looked at the review of a day",
              "sallyport review sign 2026-11-21 --note 'two denials by eve: ticket 4711'");
  c->add_option("date", options.date, "the day, UTC")->required();
  c->add_option("--note", options.note, "what came of it")->required();
  c->add_option("--server", options.gate.server, "the gate's URL");
  c->add_option("--token-file", options.gate.token_file, "file with a token");
  c->add_option("--ca", options.gate.ca, "authority of the gate's certificate, PEM");
  c->add_flag("--json", options.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunReviewSign(options); }; });
}

void AddReviewVerbs(CLI::App& audit, Chosen& chosen) {
  static AuditBypassOptions bypass;
  CLI::App* c = Command(audit, "bypass", "Who reached a database without the gateway, by its log",
                        "sallyport audit bypass --connection-log postgresql.log --config "
                        "/etc/sallyport/sallyport.yaml --connection orders-db");
  c->add_option("data_dir,--data-dir", bypass.data_dir, "data directory, or a copy of it");
  c->add_option("--connection-log", bypass.connection_log,
                "the server's log, written with log_connections = on")
      ->required();
  c->add_option("--config", bypass.config, "the gateway's own logins, and what is expected");
  c->add_option("--connection", bypass.connection, "only this one");
  c->add_option("--from", bypass.from, "from this time on (RFC 3339)");
  c->add_option("--to", bypass.to, "before this time");
  c->add_flag("--json", bypass.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditBypass(bypass); }; });

  static AuditDrillOptions drill;
  c = Command(audit, "drill", "Tampers with a copy of the log in each way, and reads it back",
              "sallyport audit drill /var/lib/sallyport --key \"$VKEY\"");
  c->add_option("data_dir,--data-dir", drill.data_dir, "data directory");
  c->add_option("--scratch", drill.scratch, "where the copy is made (default: the data directory)");
  c->add_option("--key", drill.key, "the log's verifier key, as you were given it");
  c->add_flag("--json", drill.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditDrill(drill); }; });

  static AuditScanOptions scan;
  c = Command(audit, "scan", "Searches everything at rest for card numbers",
              "sallyport audit scan /var/lib/sallyport");
  c->add_option("data_dir,--data-dir", scan.data_dir, "data directory, or a copy of it");
  c->add_option("--config", scan.config, "with the detectors of this configuration");
  c->add_flag("--json", scan.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditScan(scan); }; });
}

}  // namespace sallyport::app
