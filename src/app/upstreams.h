#pragma once

#include "app/user_accounts.h"
#include "base/result.h"
#include "config/schema.h"
#include "credential/gate_jwt.h"
#include "mcp/frontend.h"

namespace sallyport::app {

/// How the server of one configured connection is reached, with the gate's own credential. The
/// secrets are resolved once now, so that a missing one stops the start, and again every few
/// seconds while in use, so that a rotated one needs no restart.
Result<mcp::FrontendConnection> MakeConnection(const config::Connection& connection,
                                               const config::ServerLimits& limits,
                                               const credential::GateIssuer& issuer,
                                               const Accounts& accounts);

/// Whether an upstream wants tokens of the gate itself.
bool WantsGateTokens(const config::Root& root);

}  // namespace sallyport::app
