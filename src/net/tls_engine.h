#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"

struct ssl_st;
struct ssl_ctx_st;

namespace sallyport {
struct ClientCertificate;
}

namespace sallyport::net {

/// One TLS connection without its socket: sealed bytes in and out on one side, plain ones on the
/// other (OpenSSL over memory BIOs). It owns no large buffer while nothing is under way, so an idle
/// connection costs what OpenSSL keeps for its keys.
class TlsEngine {
 public:
  enum class Outcome { ok, want_more, ended, failed };

  /// What is spoken inside, negotiated by ALPN (RFC 7301). A server refuses a client that offers
  /// others only; one that offers none is let in, and protocol() is empty.
  enum class Protocol { http, postgresql };
  /// How much of the server's certificate a client judges: all of it; all but the name; nothing.
  enum class Verify { full, ca, none };

  /// `context` is referenced for the time of the connection.
  static std::unique_ptr<TlsEngine> Server(ssl_ctx_st* context, Protocol protocol = Protocol::http);
  /// Verifies the peer's certificate for `host`, a DNS name or an address; SNI for names.
  static std::unique_ptr<TlsEngine> Client(ssl_ctx_st* context, const std::string& host,
                                           Protocol protocol = Protocol::http,
                                           Verify verify = Verify::full);
  ~TlsEngine();

  /// Takes bytes that came from the peer.
  bool Feed(std::string_view sealed);
  Outcome Handshake();
  bool handshaking() const { return handshaking_; }
  /// Plain bytes, at most `size`; `ended` is the peer's close_notify.
  Outcome Read(char* out, size_t size, size_t& n);
  /// Seals `plain` whole.
  bool Write(std::string_view plain);
  /// Says close_notify.
  void Shutdown();
  /// True if there may be plain bytes without feeding more.
  bool pending() const;

  /// What has to go to the peer, and that it went.
  std::string_view outbox() const;
  void Sent(size_t n);

  /// The certificate by which the client has proved itself, of a server whose context asks for one;
  /// null: it has shown none. After the handshake.
  std::shared_ptr<const ClientCertificate> ClientProof() const;

  /// What ALPN agreed on ("postgresql"); empty if the peer does not know ALPN. After the handshake.
  std::string_view protocol() const;
  /// tls-server-end-point (RFC 5929): the digest of the server's certificate by its signature's own
  /// hash, SHA-256 in place of MD5 and SHA-1. Empty where it is not defined (Ed25519), and for a
  /// server without a certificate. Peer: of the server we are connected to; own: of ourselves.
  std::string PeerCertificateHash() const;
  std::string OwnCertificateHash() const;

  /// Why the handshake failed, in OpenSSL's words and without data of the peer.
  const std::string& error() const { return error_; }

 private:
  explicit TlsEngine(ssl_ctx_st* context);
  Outcome Judge(int result);

  ssl_st* ssl_ = nullptr;
  bool handshaking_ = true;
  std::string error_;
};

}  // namespace sallyport::net
