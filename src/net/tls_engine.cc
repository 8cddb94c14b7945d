#include "net/tls_engine.h"

#include <algorithm>
#include <arpa/inet.h>
#include <climits>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/bytes.h"
#include "base/client_certificate.h"

namespace sallyport::net {
namespace {

bool IsAddress(const std::string& host) {
  unsigned char bytes[16];
  return inet_pton(AF_INET, host.c_str(), bytes) == 1 ||
         inet_pton(AF_INET6, host.c_str(), bytes) == 1;
}

std::string_view AlpnList(TlsEngine::Protocol protocol) {
  using namespace std::string_view_literals;
  return protocol == TlsEngine::Protocol::postgresql ? "\x0apostgresql"sv : "\x08http/1.1"sv;
}

/// RFC 5929 section 4.1.
std::string EndPointHash(const X509* certificate) {
  int digest = NID_undef;
  if (certificate == nullptr || X509_get_signature_info(const_cast<X509*>(certificate), &digest,
                                                        nullptr, nullptr, nullptr) != 1)
    return {};
  if (digest == NID_md5 || digest == NID_sha1) digest = NID_sha256;
  const EVP_MD* md = digest != NID_undef ? EVP_get_digestbynid(digest) : nullptr;
  unsigned char hash[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (md == nullptr || X509_digest(certificate, md, hash, &size) != 1) {
    ERR_clear_error();
    return {};
  }
  return {reinterpret_cast<const char*>(hash), size};
}

Nanos TimeOf(const ASN1_TIME* time) {
  tm utc{};
  if (ASN1_TIME_to_tm(time, &utc) != 1) return 0;
  return Nanos(timegm(&utc)) * 1'000'000'000;
}

/// X509-SVID section 2: exactly one URI, which is the SPIFFE ID; of another shape it is none.
std::string SpiffeIdOf(const X509* certificate) {
  auto* names = static_cast<GENERAL_NAMES*>(
      X509_get_ext_d2i(certificate, NID_subject_alt_name, nullptr, nullptr));
  std::string found;
  int uris = 0;
  for (int i = 0; i < sk_GENERAL_NAME_num(names); ++i) {
    const GENERAL_NAME* name = sk_GENERAL_NAME_value(names, i);
    if (name->type != GEN_URI) continue;
    ++uris;
    const ASN1_IA5STRING* uri = name->d.uniformResourceIdentifier;
    found.assign(reinterpret_cast<const char*>(ASN1_STRING_get0_data(uri)),
                 size_t(ASN1_STRING_length(uri)));
  }
  GENERAL_NAMES_free(names);
  const bool clean = std::ranges::all_of(found, [](uint8_t c) { return c > 0x20 && c < 0x7f; });
  return uris == 1 && clean && found.size() <= 2048 && found.starts_with("spiffe://") ? found : "";
}

}  // namespace

TlsEngine::TlsEngine(ssl_ctx_st* context) : ssl_(SSL_new(context)) {
  if (ssl_ == nullptr) throw std::bad_alloc();
  BIO* in = BIO_new(BIO_s_mem());
  BIO* out = BIO_new(BIO_s_mem());
  BIO_set_mem_eof_return(in, -1);
  BIO_set_mem_eof_return(out, -1);
  SSL_set_bio(ssl_, in, out);
}

TlsEngine::~TlsEngine() { SSL_free(ssl_); }

std::unique_ptr<TlsEngine> TlsEngine::Server(ssl_ctx_st* context, Protocol protocol) {
  std::unique_ptr<TlsEngine> engine(new TlsEngine(context));
  // Static text: the context's callback reads it from here.
  SSL_set_app_data(engine->ssl_, const_cast<char*>(AlpnList(protocol).data()));
  SSL_set_accept_state(engine->ssl_);
  return engine;
}

std::unique_ptr<TlsEngine> TlsEngine::Client(ssl_ctx_st* context, const std::string& host,
                                             Protocol protocol, Verify verify) {
  std::unique_ptr<TlsEngine> engine(new TlsEngine(context));
  SSL* ssl = engine->ssl_;
  SSL_set_connect_state(ssl);
  SSL_set_verify(ssl, verify == Verify::none ? SSL_VERIFY_NONE : SSL_VERIFY_PEER, nullptr);
  const std::string_view alpn = AlpnList(protocol);
  // 0 is success here.
  bool fits = SSL_set_alpn_protos(ssl, reinterpret_cast<const unsigned char*>(alpn.data()),
                                  unsigned(alpn.size())) == 0;
  const bool address = IsAddress(host);
  if (!address) fits = fits && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
  if (verify == Verify::full && address) {
    fits = fits && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), host.c_str()) == 1;
  } else if (verify == Verify::full) {
    SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    fits = fits && SSL_set1_host(ssl, host.c_str()) == 1;
  }
  if (!fits) throw std::bad_alloc();  // the only way these calls fail on a name that was parsed
  return engine;
}

bool TlsEngine::Feed(std::string_view sealed) {
  BIO* in = SSL_get_rbio(ssl_);
  while (!sealed.empty()) {
    const int n = BIO_write(in, sealed.data(), int(std::min<size_t>(sealed.size(), INT_MAX)));
    if (n <= 0) return false;
    sealed.remove_prefix(size_t(n));
  }
  return true;
}

/// What the last call means. The error queue is emptied, it is per thread and shared by all
/// connections.
TlsEngine::Outcome TlsEngine::Judge(int result) {
  const int code = SSL_get_error(ssl_, result);
  if (code == SSL_ERROR_WANT_READ || code == SSL_ERROR_WANT_WRITE) {
    ERR_clear_error();
    return Outcome::want_more;
  }
  if (code == SSL_ERROR_ZERO_RETURN) return Outcome::ended;
  const unsigned long reason = ERR_peek_error();
  const char* text = reason != 0 ? ERR_reason_error_string(reason) : nullptr;
  error_ = text != nullptr ? text : "TLS failed";
  if (const long verified = SSL_get_verify_result(ssl_);
      verified != X509_V_OK && SSL_get_verify_mode(ssl_) != SSL_VERIFY_NONE) {
    error_ += ": ";
    error_ += X509_verify_cert_error_string(verified);
  }
  ERR_clear_error();
  return Outcome::failed;
}

TlsEngine::Outcome TlsEngine::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_);
  if (result != 1) return Judge(result);
  handshaking_ = false;
  return Outcome::ok;
}

TlsEngine::Outcome TlsEngine::Read(char* out, size_t size, size_t& n) {
  ERR_clear_error();
  n = 0;
  const int result = SSL_read_ex(ssl_, out, size, &n);
  return result == 1 ? Outcome::ok : Judge(result);
}

bool TlsEngine::Write(std::string_view plain) {
  while (!plain.empty()) {
    ERR_clear_error();
    size_t n = 0;
    if (const int result = SSL_write_ex(ssl_, plain.data(), plain.size(), &n); result != 1) {
      Judge(result);
      return false;
    }
    plain.remove_prefix(n);
  }
  return true;
}

void TlsEngine::Shutdown() {
  ERR_clear_error();
  if (!handshaking_) SSL_shutdown(ssl_);
  ERR_clear_error();
}

bool TlsEngine::pending() const {
  return SSL_has_pending(ssl_) == 1 || BIO_pending(SSL_get_rbio(ssl_)) > 0;
}

std::string_view TlsEngine::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

std::shared_ptr<const ClientCertificate> TlsEngine::ClientProof() const {
  const X509* shown = SSL_get0_peer_certificate(ssl_);
  if (shown == nullptr || SSL_get_verify_mode(ssl_) == SSL_VERIFY_NONE ||
      SSL_get_verify_result(ssl_) != X509_V_OK)
    return nullptr;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  if (X509_digest(shown, EVP_sha256(), digest, &size) != 1) return nullptr;
  auto out = std::make_shared<ClientCertificate>();
  out->thumbprint = Base64UrlEncode(ByteView(digest, size));
  out->sha256 = HexEncode(ByteView(digest, size));
  out->spiffe_id = SpiffeIdOf(shown);
  out->not_before = TimeOf(X509_get0_notBefore(shown));
  out->not_after = TimeOf(X509_get0_notAfter(shown));
  ERR_clear_error();
  return out;
}

std::string TlsEngine::PeerCertificateHash() const {
  return EndPointHash(SSL_get0_peer_certificate(ssl_));
}

std::string TlsEngine::OwnCertificateHash() const {
  return EndPointHash(SSL_get_certificate(ssl_));
}

std::string_view TlsEngine::outbox() const {
  char* data = nullptr;
  const long n = BIO_get_mem_data(SSL_get_wbio(ssl_), &data);
  return n > 0 ? std::string_view(data, size_t(n)) : std::string_view();
}

void TlsEngine::Sent(size_t n) {
  BIO* out = SSL_get_wbio(ssl_);
  if (n == outbox().size()) {
    (void)BIO_reset(out);
    return;
  }
  char discarded[4096];
  while (n > 0) {
    const int taken = BIO_read(out, discarded, int(std::min(n, sizeof discarded)));
    if (taken <= 0) return;
    n -= size_t(taken);
  }
}

}  // namespace sallyport::net
