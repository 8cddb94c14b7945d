#pragma once

#include <string>

#include "base/result.h"
#include "identity/config.h"
#include "identity/jws.h"
#include "json/document.h"

namespace sallyport::identity {

/// Tokens of machines: CI jobs, pods, cloud roles, SPIFFE workloads. They say what runs, not who
/// signed in, so they count only for a configured agent with an owner (PCI DSS 8.6), and never as
/// an access or ID token.
/// Source: docs/workloads.md.
bool IsWorkload(TokenClass token_class);

/// Whether the claims show the marks of a workload's token of any kind.
bool ShowsWorkload(json::Value claims);

/// What a verified token of `token_class`, a workload's, has to look like beside what every token
/// has to: token_type_wrong, token_claims_invalid. Refused is also a CI job that runs a stranger's
/// code with the repository's rights (GitHub: pull_request_target, workflow_run).
Result<> CheckWorkload(const Jws& jws, TokenClass token_class);

/// config_invalid unless `id` is spiffe://TRUST-DOMAIN/PATH as the standard writes it.
Result<> CheckSpiffeId(std::string_view id);

/// What runs, for people and the record: "repository_id=74 run_id=9001 ref=refs/heads/main". At
/// most 512 bytes of printable ASCII; empty if the claims say nothing known.
std::string OriginOf(json::Value claims, TokenClass token_class);

/// config_invalid if the conditions rest on names only that somebody else can come to own:
/// repositories and projects are renamed, transferred and registered again, their ids are not.
Result<> CheckPinned(const AgentConfig::Match& match, TokenClass token_class);

}  // namespace sallyport::identity
