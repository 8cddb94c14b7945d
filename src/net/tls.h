#pragma once

#include <memory>
#include <string>

#include "base/result.h"
#include "net/http_server.h"

struct ssl_ctx_st;

namespace sallyport::net {

/// A reference to an OpenSSL context; thread-safe to share.
using TlsContext = std::shared_ptr<ssl_ctx_st>;

/// What a client trusts and what it shows of itself.
struct ClientTls {
  std::string ca_file;           // PEM; empty: the system's authorities
  std::string certificate_file;  // PEM chain of a client certificate; empty: none
  std::string key_file;          // of that certificate
};

/// For clients, TLS 1.2 or 1.3. How much of the server's certificate is judged and which protocol
/// is spoken says TlsEngine::Client. config_invalid names the file and the reason.
Result<TlsContext> MakeClientContext(const ClientTls& options);
Result<TlsContext> MakeClientContext(const std::string& ca_file);

/// The context that new connections of `server` use now. Any thread.
TlsContext CurrentContext(const TlsServer& server);

}  // namespace sallyport::net
