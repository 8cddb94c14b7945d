#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "app/gate_client.h"

// One struct of options and one function per command of the command line. main.cc reads the
// arguments into the structs; each function lives in a file of its own and returns an ExitCode.

namespace sallyport::app {

struct DevOptions {
  uint16_t port_base = 7300;
  std::string state;  // empty: a directory that is removed at the end
  bool json = false;
};
int RunDev(const DevOptions& options);

struct ServeOptions {
  std::string config;
};
int RunServe(const ServeOptions& options);

struct ValidateOptions {
  std::string config;
  bool json = false;
};
int RunValidate(const ValidateOptions& options);

struct PolicyTestOptions {
  std::string config;
  std::vector<std::string> tests;
  bool json = false;
};
int RunPolicyTest(const PolicyTestOptions& options);

struct PolicyExplainOptions {
  std::string config, as, call, sql, connection;
  bool json = false;
};
int RunPolicyExplain(const PolicyExplainOptions& options);

struct PolicyWhatIfOptions {
  std::string config, data_dir, from, to;
  uint64_t allow = 0, examples = 20;
  int64_t unknown = -1;  // any number
  bool json = false;
};
int RunPolicyWhatIf(const PolicyWhatIfOptions& options);

struct MaskOptions {
  bool jsonl = false;
  std::string config;
};
int RunMask(const MaskOptions& options);

struct AuditVerifyOptions {
  std::string data_dir, checkpoint, key, policy, config, kek;
  bool json = false;
};
int RunAuditVerify(const AuditVerifyOptions& options);

struct AuditProveOptions {
  std::string data_dir;
  uint64_t index = 0;
  std::string out;
};
int RunAuditProve(const AuditProveOptions& options);

struct AuditVerifyApprovalOptions {
  std::string data_dir;
  uint64_t index = 0;
  bool json = false;
};
int RunAuditVerifyApproval(const AuditVerifyApprovalOptions& options);

struct AuditSearchOptions {
  std::string data_dir, person, agent, connection, tool, decision, session, event, reason, from, to;
  std::string config, kek;  // to open recordings
  uint64_t limit = 1000;
  bool json = false;
};
int RunAuditSearch(const AuditSearchOptions& options);

struct AuditCoverageOptions {
  std::string data_dir, from, to;
  bool json = false;
};
int RunAuditCoverage(const AuditCoverageOptions& options);

struct AuditSampleOptions {
  std::string data_dir, seed, out;
  uint64_t count = 25;
};
int RunAuditSample(const AuditSampleOptions& options);

struct AuditTailOptions {
  std::string data_dir, config, kek;
  uint64_t lines = 20;
  bool follow = false, json = false;
};
int RunAuditTail(const AuditTailOptions& options);

/// evidence pack and verify. `key`: file of the private key; empty: the data directory's.
struct EvidencePackOptions {
  std::string data_dir, config, from, to, out, seed, key;
  uint64_t samples = 25;
};
int RunEvidencePack(const EvidencePackOptions& options);

struct EvidenceVerifyOptions {
  std::string file, fingerprint;
};
int RunEvidenceVerify(const EvidenceVerifyOptions& options);

struct ReplayOptions {
  std::string data_dir, session, format = "text", config, kek;
};
int RunReplay(const ReplayOptions& options);

struct WitnessOptions {
  std::string listen = "127.0.0.1:7400", name, state, cert, key;
  std::vector<std::string> logs;
  bool json = false;
};
int RunWitness(const WitnessOptions& options);

struct PinsOptions {
  std::string config, connection;
  bool accept = false, json = false;
};
int RunPins(const PinsOptions& options);

/// db env and db connect: how a PostgreSQL client reaches a connection through the gate.
struct DbOptions {
  std::string config, connection, ca, token_file, client = "psql";
  std::vector<std::string> arguments;  // of the client
  bool json = false;
};
int RunDbEnv(const DbOptions& options);
int RunDbConnect(const DbOptions& options);

/// login, logout, whoami, sessions: a person at a running gate. All empty: where `sallyport login`
/// went, with the session that it kept.
struct AtGate {
  std::string server, token_file, ca;
};
struct LoginOptions {
  std::string server, ca;
  std::vector<std::string> only;  // limits
  std::string lasts, reason;
  bool no_browser = false, device = false, json = false;
};
int RunLogin(const LoginOptions& options);

struct LogoutOptions {
  AtGate gate;
};
int RunLogout(const LogoutOptions& options);

struct WhoamiOptions {
  AtGate gate;
  bool why = false, json = false;
};
int RunWhoami(const WhoamiOptions& options);

struct SessionsOptions {
  AtGate gate;
  std::string id, issuer, subject, reason = "ended on the command line";
  bool all = false, json = false;
};
int RunSessionsList(const SessionsOptions& options);
int RunSessionsKill(const SessionsOptions& options);

/// mcp config: what to paste into an MCP client.
struct McpConfigOptions {
  std::string client, connection, server, config, ca, form = "auto";
  bool json = false;
};
int RunMcpConfig(const McpConfigOptions& options);

/// connect: a connection of the gate as an MCP server on standard input and output.
struct ConnectOptions {
  AtGate gate;
  std::string connection;
};
int RunConnect(const ConnectOptions& options);

struct DoctorOptions {
  std::string config, connection;
  bool json = false;
};
int RunDoctorPostgres(const DoctorOptions& options);

struct DoctorIdentityOptions {
  std::string config = "/etc/sallyport/sallyport.yaml", provider, connection, token_file,
              saml_response;
  bool json = false;
};
int RunDoctorIdentity(const DoctorIdentityOptions& options);

/// approvals list|show|approve|deny and, with `mine`, requests list|show|withdraw.
struct ApprovalsOptions {
  GateOptions gate;
  std::string id, state, reason, digest;
  bool mine = false, all = false, approve = false, json = false;
};
int RunApprovalsList(const ApprovalsOptions& options);
int RunApprovalsShow(const ApprovalsOptions& options);
int RunApprovalsDecide(const ApprovalsOptions& options);
int RunRequestsWithdraw(const ApprovalsOptions& options);

/// passkeys list|remove: one's own, or those of a person as an administrator.
struct PasskeysOptions {
  GateOptions gate;
  std::string id, issuer, subject, reason;
  bool json = false;
};
int RunPasskeysList(const PasskeysOptions& options);
int RunPasskeysRemove(const PasskeysOptions& options);

/// The data directory a command works on: the one given, else that of `config`, else the
/// environment's SALLYPORT_DATA_DIR, else the default of the service.
std::string DataDirOrDefault(const std::string& given);

}  // namespace sallyport::app
