#include "net/tls.h"

#include <atomic>
#include <mutex>
#include <openssl/err.h>
#include <openssl/ssl.h>

namespace sallyport::net {
namespace {

/// AEAD suites with forward secrecy only; TLS 1.3 has no others.
constexpr const char* kSuites =
    "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:ECDHE-ECDSA-AES256-GCM-SHA384:"
    "ECDHE-RSA-AES256-GCM-SHA384:ECDHE-ECDSA-CHACHA20-POLY1305:ECDHE-RSA-CHACHA20-POLY1305";

std::string Reason() {
  const unsigned long code = ERR_peek_last_error();
  const char* text = code != 0 ? ERR_reason_error_string(code) : nullptr;
  ERR_clear_error();
  return text != nullptr ? text : "unknown reason";
}

TlsContext MakeContext(const SSL_METHOD* method) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(method), SSL_CTX_free);
  if (!context) throw std::bad_alloc();
  SSL_CTX_set_cipher_list(context.get(), kSuites);
  SSL_CTX_set_options(context.get(), SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION |
                                         SSL_OP_CIPHER_SERVER_PREFERENCE);
  // An idle connection keeps no record buffers; a write may be repeated from another address.
  SSL_CTX_set_mode(context.get(), SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  return context;
}

Result<> LoadIdentity(SSL_CTX* ctx, const std::string& certificate, const std::string& key) {
  if (SSL_CTX_use_certificate_chain_file(ctx, certificate.c_str()) != 1)
    return Fail(Errc::config_invalid, "certificate " + certificate + ": " + Reason());
  if (SSL_CTX_use_PrivateKey_file(ctx, key.c_str(), SSL_FILETYPE_PEM) != 1)
    return Fail(Errc::config_invalid, "key " + key + ": " + Reason());
  if (SSL_CTX_check_private_key(ctx) != 1)
    return Fail(Errc::config_invalid, "key " + key + " does not fit " + certificate);
  return {};
}

/// A client that offers ALPN without the one protocol which this connection is for is refused (RFC
/// 7301). TlsEngine::Server says which one that is.
int SelectProtocol(SSL* ssl, const unsigned char** out, unsigned char* out_size,
                   const unsigned char* in, unsigned in_size, void*) {
  const auto* ours = static_cast<const unsigned char*>(SSL_get_app_data(ssl));
  unsigned char* chosen = nullptr;
  if (ours == nullptr || SSL_select_next_proto(&chosen, out_size, ours, ours[0] + 1u, in,
                                               in_size) != OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

class Server final : public TlsServer {
 public:
  explicit Server(const Options& options) : options_(options) {}

  Result<> Reload() override {
    SALLYPORT_TRY(TlsContext made, Load());
    std::lock_guard lock(mutex_);
    context_ = std::move(made);
    return {};
  }
  TlsContext current() const {
    std::lock_guard lock(mutex_);
    return context_;
  }

 private:
  Result<TlsContext> Load() const {
    TlsContext context = MakeContext(TLS_server_method());
    SSL_CTX* ctx = context.get();
    if (options_.min_version != "1.2" && options_.min_version != "1.3")
      return Fail(Errc::config_invalid,
                  "TLS version " + options_.min_version + " is not 1.2 or 1.3");
    SSL_CTX_set_min_proto_version(ctx,
                                  options_.min_version == "1.3" ? TLS1_3_VERSION : TLS1_2_VERSION);
    SALLYPORT_CHECK(LoadIdentity(ctx, options_.certificate_file, options_.key_file));
    if (!options_.client_ca_file.empty()) {
      auto* names = SSL_load_client_CA_file(options_.client_ca_file.c_str());
      if (names == nullptr ||
          SSL_CTX_load_verify_locations(ctx, options_.client_ca_file.c_str(), nullptr) != 1) {
        sk_X509_NAME_pop_free(names, X509_NAME_free);
        return Fail(Errc::config_invalid,
                    "client authorities " + options_.client_ca_file + ": " + Reason());
      }
      SSL_CTX_set_client_CA_list(ctx, names);
      SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
    }
    SSL_CTX_set_alpn_select_cb(ctx, SelectProtocol, nullptr);
    // No tickets: they would outlive a reload with the key that made them.
    SSL_CTX_set_options(ctx, SSL_OP_NO_TICKET);
    SSL_CTX_set_session_cache_mode(ctx, SSL_SESS_CACHE_OFF);
    return context;
  }

  const Options options_;
  mutable std::mutex mutex_;
  TlsContext context_;
};

}  // namespace

Result<std::shared_ptr<TlsServer>> TlsServer::Make(const Options& options) {
  auto server = std::make_shared<Server>(options);
  SALLYPORT_CHECK(server->Reload());
  return server;
}

TlsContext CurrentContext(const TlsServer& server) {
  return static_cast<const Server&>(server).current();
}

Result<TlsContext> MakeClientContext(const ClientTls& options) {
  TlsContext context = MakeContext(TLS_client_method());
  SSL_CTX* ctx = context.get();
  SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, nullptr);
  if (options.ca_file.empty()) {
    SSL_CTX_set_default_verify_paths(ctx);
  } else if (SSL_CTX_load_verify_locations(ctx, options.ca_file.c_str(), nullptr) != 1) {
    return Fail(Errc::config_invalid, "authorities " + options.ca_file + ": " + Reason());
  }
  if (!options.certificate_file.empty())
    SALLYPORT_CHECK(LoadIdentity(ctx, options.certificate_file, options.key_file));
  return context;
}

Result<TlsContext> MakeClientContext(const std::string& ca_file) {
  return MakeClientContext(ClientTls{ca_file, {}, {}});
}

}  // namespace sallyport::net
