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
  c->add_option("--data-dir", exported.data_dir, "data directory, or a copy of it");
  c->callback([&chosen] { chosen = [] { return RunAuditExport(exported); }; });
}

}  // namespace sallyport::app
