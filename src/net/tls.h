#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/http_server.h"

struct ssl_ctx_st;

namespace sallyport::net {

/// A reference to an OpenSSL context; thread-safe to share.
using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// For clients: verifies against `ca_file`, or the system's authorities where it is empty. TLS 1.2
/// or 1.3.
Result<TlsContext> MakeClientContext(const std::string& ca_file);

/// The context that new connections of `server` use now. Any thread.
TlsContext CurrentContext(const TlsServer& server);

}  // namespace sallyport::net
