#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "base/secret.h"

namespace sallyport::pg {

/// The client's side of SCRAM-SHA-256 and SCRAM-SHA-256-PLUS (RFC 5802, RFC 7677; channel binding
/// tls-server-end-point of RFC 5929), as PostgreSQL speaks it: no user name (the startup packet has
/// it) and no authorization identity. One exchange, one object; calls in the order of declaration.
///
/// The password is taken as its bytes. PostgreSQL applies SASLprep, which changes nothing in ASCII
/// and nothing in text that is in form NFKC already.
class ScramClient {
 public:
  enum class Binding : uint8_t {
    none,         // "n": there is no TLS, or no binding is defined for the certificate
    not_offered,  // "y": we could, the server did not offer it; a server that did offer it refuses:
                  // somebody in between has taken the offer away (RFC 5802, section 6)
    end_point,    // "p=tls-server-end-point"
  };
  /// More rounds than this would let a server keep our shard busy: 100,000 take about 30 ms.
  static constexpr uint32_t kMaxIterations = 1'000'000;
  /// Of one message of the server. Nonce and salt have no bound of their own.
  static constexpr size_t kMaxMessage = 4096;

  /// `certificate_hash`: with end_point, TlsEngine::PeerCertificateHash().
  ScramClient(Secret password, Binding binding, std::string certificate_hash = {});
  /// For test vectors: with the client's nonce given.
  ScramClient(Secret password, Binding binding, std::string certificate_hash, std::string nonce);

  /// client-first-message.
  std::string First();
  /// server-first-message → client-final-message. upstream_protocol: not well-formed, a nonce that
  /// does not begin with ours or adds nothing, more iterations than the cap.
  Result<std::string> Final(std::string_view server_first);
  /// server-final-message. upstream_protocol if it is not well-formed, upstream_login_failed if the
  /// server does not know the password's keys (it is not the server) or says e=.
  Result<> Verify(std::string_view server_final);
  /// The server has proved itself.
  bool verified() const { return verified_; }

 private:
  std::string Header() const;

  Secret password_;
  Binding binding_;
  std::string certificate_hash_;
  std::string nonce_;
  std::string first_bare_, server_signature_;
  bool verified_ = false;
};

/// What PostgreSQL keeps of a password:
/// "SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>". Made here so that the password
/// itself never goes to the server or its log. With a random password of 192 bits one iteration is
/// as good as 4096, and twenty times faster on both sides.
std::string ScramVerifier(std::string_view password, std::string_view salt, uint32_t iterations);

/// MD5 as PostgreSQL uses it: "md5" + hex(MD5(hex(MD5(password + user)) + salt)).
/// upstream_login_failed where this machine's OpenSSL has no MD5 (FIPS).
Result<std::string> Md5Answer(std::string_view password, std::string_view user,
                              std::string_view salt);

}  // namespace sallyport::pg
