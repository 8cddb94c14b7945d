#pragma once

#include <string>

#include "base/task.h"
#include "net/stream.h"

// Connecting, for the clients of this folder; internal to net/.

namespace sallyport::net {

/// Resolves `host` (a name or an address) and connects to the first of its addresses that answers;
/// one that swallows everything does not eat the time of the others. A host that begins with "/" is
/// the path of a Unix socket. upstream_unreachable, upstream_timeout, cancelled; details name host
/// and port.
Task<Socket> ConnectSocket(Loop& loop, std::string host, uint16_t port, TimePoint until);

}  // namespace sallyport::net
