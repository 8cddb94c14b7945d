#include <CLI/CLI.hpp>
#include <cstdio>
#include <functional>

#include "app/arguments.h"
#include "app/audit_export.h"
#include "app/audit_search.h"
#include "app/exit_code.h"
#include "app/verbs.h"
#include "saml/worker.h"

namespace sallyport::app {
namespace {

void AddService(CLI::App& root, Chosen& chosen) {
  static DevOptions dev;
  CLI::App* c =
      Command(root, "dev", "Everything on loopback with nothing to configure, and a first screen",
              "sallyport dev --port-base 7300");
  c->add_option("--port-base", dev.port_base, "first of six ports")->capture_default_str();
  c->add_option("--state", dev.state, "keep keys and log here (default: removed at the end)");
  c->add_flag("--json", dev.json, "one JSON line when ready instead of the screen");
  c->callback([&chosen] { chosen = [] { return RunDev(dev); }; });

  static ServeOptions serve;
  c = Command(root, "serve", "The gateway",
              "sallyport serve --config /etc/sallyport/sallyport.yaml");
  c->add_option("--config", serve.config, "configuration file")->required();
  c->callback([&chosen] { chosen = [] { return RunServe(serve); }; });

  static ValidateOptions validate;
  c = Command(root, "validate", "Checks a configuration as start-up does, without starting",
              "sallyport validate sallyport.yaml");
  c->add_option("config", validate.config, "configuration file")->required();
  c->add_flag("--json", validate.json, "problems as JSON");
  c->callback([&chosen] { chosen = [] { return RunValidate(validate); }; });
}

void AddWitness(CLI::App& root, Chosen& chosen) {
  static WitnessOptions witness;
  CLI::App* c = Command(root, "witness",
                        "Cosigns the heads of other gateways' logs, and never a rolled back one",
                        "sallyport witness --name w1.example.org --state /var/lib/witness --log "
                        "\"$VKEY\"");
  c->add_option("--name", witness.name, "of its key: a URL without scheme")->required();
  c->add_option("--state", witness.state, "directory of its key and of what it has cosigned")
      ->required();
  c->add_option("--log", witness.logs, "verifier key of a log that it follows; again for more")
      ->required()
      ->allow_extra_args(false);
  c->add_option("--listen", witness.listen, "address")->capture_default_str();
  c->add_option("--cert", witness.cert, "certificate chain (PEM); without, plain HTTP");
  c->add_option("--key", witness.key, "its private key (PEM)");
  c->add_flag("--json", witness.json, "one JSON line when ready");
  c->callback([&chosen] { chosen = [] { return RunWitness(witness); }; });
}

/// Not for people: in no help.
void AddWorker(CLI::App& root, Chosen& chosen) {
  CLI::App* c = root.add_subcommand("saml-worker", "Checks one SAML document on standard input");
  c->group("");
  c->callback([&chosen] { chosen = [] { return saml::RunWorker(); }; });
}

void AddPolicy(CLI::App& root, Chosen& chosen) {
  CLI::App* policy = Command(root, "policy", "Tests and explains the rules",
                             "sallyport policy test --config sallyport.yaml policy_test.yaml");
  policy->require_subcommand(1);

  static PolicyTestOptions test;
  CLI::App* c = Command(*policy, "test", "Runs policy tests and says which rules they cover",
                        "sallyport policy test --config sallyport.yaml policy_test.yaml");
  c->add_option("--config", test.config, "configuration file")->required();
  c->add_option("tests", test.tests, "files with tests")->required();
  c->add_flag("--json", test.json, "result as JSON");
  c->callback([&chosen] { chosen = [] { return RunPolicyTest(test); }; });

  static PolicyExplainOptions explain;
  c = Command(
      *policy, "explain", "Says why a request is allowed or not, rule by rule",
      "sallyport policy explain --config sallyport.yaml --as agent:agent-refunds "
      "--call "
      "'{\"connection\":\"payments\",\"tool\":\"get_order\",\"args\":{\"id\":\"o_1a2b3c4d\"}}'");
  c->add_option("--config", explain.config, "configuration file")->required();
  c->add_option("--as", explain.as, "agent:NAME, user:NAME or user:NAME,group:NAME…")->required();
  c->add_option("--call", explain.call, "tool call as JSON: {connection, tool, args}");
  c->add_option("--sql", explain.sql, "statement");
  c->add_option("--connection", explain.connection, "connection of the statement");
  c->add_flag("--json", explain.json, "result as JSON");
  c->callback([&chosen] { chosen = [] { return RunPolicyExplain(explain); }; });
  AddPolicyHistory(*policy, chosen);
}

void AddMask(CLI::App& root, Chosen& chosen) {
  static MaskOptions mask;
  CLI::App* c = Command(root, "mask", "Masks card numbers in standard input",
                        "echo 'card 4111 1111 1111 1111' | sallyport mask");
  c->add_flag("--jsonl", mask.jsonl, "read records, write findings, one JSON object a line");
  c->add_option("--config", mask.config, "use the detectors of this configuration");
  c->callback([&chosen] { chosen = [] { return RunMask(mask); }; });
}

void AddAudit(CLI::App& root, Chosen& chosen) {
  CLI::App* audit = Command(root, "audit", "Verifies, proves, searches and follows the log",
                            "sallyport audit verify /var/lib/sallyport");
  audit->require_subcommand(1);
  static AuditVerifyOptions verify;
  CLI::App* c = Command(
      *audit, "verify", "Proves offline that the log is whole and unchanged; needs no secret",
      "sallyport audit verify /var/lib/sallyport --key \"$VKEY\" --checkpoint yesterday.txt");
  c->add_option("data_dir", verify.data_dir, "data directory (or a copy of it)")->required();
  c->add_option("--checkpoint", verify.checkpoint,
                "an older checkpoint that you kept: shows a rollback");
  c->add_option("--key", verify.key, "the log's verifier key, as you were given it");
  c->add_option("--policy", verify.policy,
                "who must have cosigned its head (C2SP tlog-policy); names the log's key too");
  c->add_option("--kek", verify.kek, "file with the key of the recordings: opens them as well");
  c->add_option("--config", verify.config, "configuration whose keys open them");
  c->add_flag("--json", verify.json, "report as JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditVerify(verify); }; });

  static AuditProveOptions prove;
  c = Command(*audit, "prove", "Writes the proof that an entry is in the log (C2SP tlog-proof)",
              "sallyport audit prove 4711 --data-dir /var/lib/sallyport > 4711.tlog-proof");
  c->add_option("index", prove.index, "index of the entry")->required();
  c->add_option("--data-dir", prove.data_dir, "data directory");
  c->add_option("--out", prove.out, "file to write (default: standard output)");
  c->callback([&chosen] { chosen = [] { return RunAuditProve(prove); }; });

  static AuditVerifyProofOptions proof;
  c = Command(*audit, "verify-proof", "Checks the proof that an entry is in a log, without the log",
              "sallyport audit verify-proof 4711.tlog-proof 4711.entry --key \"$VKEY\"");
  c->add_option("proof", proof.proof, "the .tlog-proof")->required();
  c->add_option("entry", proof.entry, "the entry, byte for byte")->required();
  c->add_option("--key", proof.key, "the log's verifier key, as you were given it");
  c->add_option("--policy", proof.policy, "who must have cosigned its head (C2SP tlog-policy)");
  c->callback([&chosen] { chosen = [] { return RunAuditVerifyProof(proof); }; });

  static AuditVerifyApprovalOptions approval;
  c = Command(*audit, "verify-approval",
              "Proves offline that a person's passkey signed a decision about exactly this request",
              "sallyport audit verify-approval 4711 --data-dir /var/lib/sallyport");
  c->add_option("index", approval.index, "index of the approval.decided entry")->required();
  c->add_option("--data-dir", approval.data_dir, "data directory, or a copy of it");
  c->add_flag("--json", approval.json, "what was found as JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditVerifyApproval(approval); }; });

  static AuditSearchOptions search;
  static SearchMore more;
  c = Command(*audit, "search", "Finds entries",
              "sallyport audit search --person ana@example.com --decision deny");
  c->add_option("--data-dir", search.data_dir, "data directory");
  c->add_option("--person", search.person, "name or subject");
  c->add_option("--agent", search.agent, "agent");
  c->add_option("--connection", search.connection, "connection");
  c->add_option("--tool", search.tool, "tool, prompt or resource");
  c->add_option("--decision", search.decision, "allow, approve or deny");
  c->add_option("--session", search.session, "session id, s_…");
  c->add_option("--event", search.event, "event type, for example call.denied");
  c->add_option("--reason", search.reason, "reason code");
  c->add_option("--from", search.from, "from this time on (RFC 3339)");
  c->add_option("--to", search.to, "before this time (RFC 3339)");
  c->add_option("--config", search.config, "configuration whose keys open recordings");
  c->add_option("--kek", search.kek, "file with the key that opens them");
  c->add_option("--limit", search.limit, "most entries; says if there are more")
      ->capture_default_str();
  c->add_option("--table", more.table, "table that recorded SQL names, for example public.orders");
  c->add_option("--prove", more.prove, "directory for each entry and its .tlog-proof");
  c->add_flag("--json", search.json, "one JSON object a line");
  c->callback([&chosen] { chosen = [] { return RunAuditSearch(search, more); }; });

  static AuditCoverageOptions coverage;
  c = Command(*audit, "coverage", "When the log was written, and every outage, by its own entries",
              "sallyport audit coverage --from 2026-11-01 --to 2026-12-01");
  c->add_option("data_dir,--data-dir", coverage.data_dir, "data directory, or a copy of it");
  c->add_option("--from", coverage.from, "from this time on (default: the first entry)");
  c->add_option("--to", coverage.to, "before this time (default: the last entry)");
  c->add_flag("--json", coverage.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunAuditCoverage(coverage); }; });

  static AuditSampleOptions sample;
  c = Command(*audit, "sample", "Entries drawn by an assessor's seed, with their proofs",
              "sallyport audit sample --seed 'dice: 3 1 6 2 5 5' --n 25 --out sample");
  c->add_option("data_dir,--data-dir", sample.data_dir, "data directory, or a copy of it");
  c->add_option("--seed", sample.seed, "any text, chosen after the log's head was known")
      ->required();
  c->add_option("--n", sample.count, "how many")->capture_default_str();
  c->add_option("--out", sample.out, "directory for each entry and its .tlog-proof");
  c->callback([&chosen] { chosen = [] { return RunAuditSample(sample); }; });

  AddAuditExport(*audit, chosen);
  AddReviewVerbs(*audit, chosen);

  static AuditTailOptions tail;
  c = Command(*audit, "tail", "Shows the newest entries", "sallyport audit tail --follow");
  c->add_option("data_dir,--data-dir", tail.data_dir, "data directory");
  c->add_option("-n,--lines", tail.lines, "how many")->capture_default_str();
  c->add_option("--config", tail.config, "configuration whose keys open recordings");
  c->add_option("--kek", tail.kek, "file with the key that opens them");
  c->add_flag("-f,--follow", tail.follow, "go on as they come");
  c->add_flag("--json", tail.json, "one JSON object a line");
  c->callback([&chosen] { chosen = [] { return RunAuditTail(tail); }; });

  static ReplayOptions replay;
  c = Command(root, "replay", "Shows what a session asked and what it saw (masked)",
              "sallyport replay s_0123456789abcdef --data-dir /var/lib/sallyport");
  c->add_option("session", replay.session, "session id, s_…")->required();
  c->add_option("--data-dir", replay.data_dir, "data directory");
  c->add_option("--config", replay.config, "configuration whose keys open recordings");
  c->add_option("--kek", replay.kek, "file with the key that opens them");
  c->add_option("--format", replay.format, "text, html (one file that verifies itself), cast (asciicast v2) or jsonl")
      ->check(CLI::IsMember({"text", "html", "cast", "jsonl"}))
      ->capture_default_str();
  c->callback([&chosen] { chosen = [] { return RunReplay(replay); }; });
}

void AddPins(CLI::App& root, Chosen& chosen) {
  static PinsOptions pins;
  CLI::App* c = Command(root, "pins", "Shows pinned tool definitions and accepts changed ones",
                        "sallyport pins --config sallyport.yaml payments --accept");
  c->add_option("connection", pins.connection, "connection")->required();
  c->add_option("--config", pins.config, "configuration file")->required();
  c->add_flag("--accept", pins.accept, "accept what the server offers now");
  c->add_flag("--json", pins.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunPins(pins); }; });
}

void AddDb(CLI::App& root, Chosen& chosen) {
  CLI::App* db = Command(root, "db", "PostgreSQL through the gate",
                         "sallyport db connect orders-db --config sallyport.yaml");
  db->require_subcommand(1);
  static DbOptions options;
  const auto common = [](CLI::App* c) {
    c->add_option("connection", options.connection, "connection")->required();
    c->add_option("--config", options.config, "configuration file")->required();
    c->add_option("--ca", options.ca, "authority of the gate's certificate, PEM");
  };
  CLI::App* c = Command(*db, "env", "The variables with which any libpq client reaches it",
                        "eval \"$(sallyport db env orders-db --config sallyport.yaml)\"");
  common(c);
  c->add_flag("--json", options.json, "as JSON");
  c->callback([&chosen] { chosen = [] { return RunDbEnv(options); }; });
  c = Command(*db, "connect", "Starts psql there, with the person's token as its password",
              "SALLYPORT_TOKEN=$(get-token) sallyport db connect orders-db --config "
              "sallyport.yaml -- -c 'select 1'");
  common(c);
  c->add_option("--token-file", options.token_file,
                "file with the token (default: the variable SALLYPORT_TOKEN)");
  c->add_option("--client", options.client, "the client to start")->capture_default_str();
  c->add_option("arguments", options.arguments, "arguments of the client, behind --");
  c->callback([&chosen] { chosen = [] { return RunDbConnect(options); }; });
}

void AddDoctor(CLI::App& root, Chosen& chosen) {
  CLI::App* doctor = Command(root, "doctor", "Finds what is wrong with a set-up and says the fix",
                             "sallyport doctor postgres --config sallyport.yaml");
  doctor->require_subcommand(1);
  static DoctorOptions options;
  CLI::App* c = Command(*doctor, "postgres", "Reaches each database as the gate would",
                        "sallyport doctor postgres --config sallyport.yaml");
  c->add_option("--config", options.config, "configuration file")->required();
  c->add_option("--connection", options.connection, "only this one");
  c->add_flag("--json", options.json, "one JSON object a line");
  c->callback([&chosen] { chosen = [] { return RunDoctorPostgres(options); }; });

  static DoctorIdentityOptions identity;
  c = Command(*doctor, "identity",
              "Reaches each identity provider, and judges a token, as the gate would",
              "sallyport doctor identity --config sallyport.yaml --token-file token.txt");
  c->add_option("--config", identity.config, "configuration file")->capture_default_str();
  c->add_option("--provider", identity.provider, "only this one");
  c->add_option("--token-file", identity.token_file, "why the gate takes this token, or does not");
  c->add_option("--connection", identity.connection, "where the token is to be good");
  c->add_option("--saml-response", identity.saml_response,
                "why the gate takes this SAML response, or does not");
  c->add_flag("--json", identity.json, "one JSON object a line");
  c->callback([&chosen] { chosen = [] { return RunDoctorIdentity(identity); }; });
}

}  // namespace
}  // namespace sallyport::app

int main(int argc, char** argv) {
  using namespace sallyport::app;
  CLI::App root("sallyport: the gate between AI agents and cardholder data", "sallyport");
  root.require_subcommand(1);
  root.set_version_flag("--version", SALLYPORT_VERSION);
  Chosen chosen;
  AddService(root, chosen);
  AddPolicy(root, chosen);
  AddMask(root, chosen);
  AddWitness(root, chosen);
  AddAudit(root, chosen);
  AddReview(root, chosen);
  AddPins(root, chosen);
  AddWorker(root, chosen);
  AddDb(root, chosen);
  AddDoctor(root, chosen);
  AddApprovalVerbs(root, chosen);
  AddPeopleVerbs(root, chosen);
  AddClientVerbs(root, chosen);
  AddRecordingVerbs(root, chosen);
  AddEvidenceVerbs(root, chosen);
  try {
    root.parse(argc, argv);
  } catch (const CLI::ParseError& e) {
    const int code = root.exit(e);
    return code == 0 ? kOk : kUsage;
  }
  try {
    return chosen();
  } catch (const std::exception& e) {
    std::fprintf(stderr, "sallyport: %s\n", e.what());
    return kFailed;
  }
}
