#include "app/audit_export.h"

namespace sallyport::app {

void AddAuditExport(CLI::App& audit, Chosen& chosen) {
  static AuditExportOptions exported;
  CLI::App* c = Command(audit, "export", "Writes entries as events for other systems, one a line",
                        "sallyport audit export --format ocsf --from 2026-11-21 > events.jsonl");
  c->add_option("--format", exported.format, "ocsf, cef, ecs or json")
      ->check(CLI::IsMember({"ocsf", "cef", "ecs", "json"}))
      ->capture_default_str();
  c->add_option("--from", exported.from, "from this entry (an index) or time (RFC 3339) on");
  c->add_option("--to", exported.to, "before this entry or time");
  c->add_option("--config", exported.config, "configuration whose keys open recordings (json)");
  c->add_option("--kek", exported.kek, "file with the key that opens them (json)");
  c->add_option("--data-dir", exported.data_dir, "data directory, or a copy of it");
  c->callback([&chosen] { chosen = [] { return RunAuditExport(exported); }; });

  static AuditDeliveredOptions delivered;
  c = Command(audit, "delivered",
              "Says whether a receiver has every entry as it is in the log; exit code 3 if not",
              "sallyport audit delivered --receiver siem --received events.jsonl");
  c->add_option("--received", delivered.received,
                "what the receiver has: its events, or lines INDEX LEAF_HASH; - for standard input")
      ->required();
  c->add_option("--receiver", delivered.receiver, "its name, for the entry delivery.reported")
      ->required();
  c->add_option("--from", delivered.from, "compares this entry (an index) and later ones");
  c->add_option("--to", delivered.to, "compares entries before this one");
  c->add_option("--data-dir", delivered.data_dir, "data directory, or a copy of it");
  c->add_flag("--json", delivered.json, "the report as one line of JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditDelivered(delivered); }; });
}

}  // namespace sallyport::app
