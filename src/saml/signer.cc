#include "saml/signer.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

#include "base/bytes.h"

namespace sallyport::saml {
namespace {

constexpr long kTenYears = 3650L * 24 * 3600;

struct Frees {
  void operator()(BIO* bio) const { BIO_free(bio); }
  void operator()(X509* certificate) const { X509_free(certificate); }
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Bio = std::unique_ptr<BIO, Frees>;
using Certificate = std::unique_ptr<X509, Frees>;
using Pkey = std::unique_ptr<EVP_PKEY, Frees>;
using Digest = std::unique_ptr<EVP_MD_CTX, Frees>;

Bio Reader(std::string_view text) { return Bio(BIO_new_mem_buf(text.data(), int(text.size()))); }

std::string TextOf(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, size > 0 ? size_t(size) : 0);
}

Certificate SelfSigned(EVP_PKEY* key) {
  Certificate made(X509_new());
  uint64_t serial = 0;
  if (!made || RAND_bytes(reinterpret_cast<unsigned char*>(&serial), 7) != 1) return nullptr;
  X509_NAME* name = X509_get_subject_name(made.get());
  const bool good =
      X509_set_version(made.get(), 2) == 1 &&
      ASN1_INTEGER_set_uint64(X509_get_serialNumber(made.get()), serial | 1) == 1 &&
      X509_gmtime_adj(X509_getm_notBefore(made.get()), -3600) != nullptr &&
      X509_gmtime_adj(X509_getm_notAfter(made.get()), kTenYears) != nullptr &&
      X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                                 reinterpret_cast<const unsigned char*>("sallyport SAML"), -1, -1,
                                 0) == 1 &&
      X509_set_issuer_name(made.get(), name) == 1 && X509_set_pubkey(made.get(), key) == 1 &&
      X509_sign(made.get(), key, EVP_sha256()) > 0;
  return good ? std::move(made) : nullptr;
}

}  // namespace

void Signer::Free::operator()(void* key) const { EVP_PKEY_free(static_cast<EVP_PKEY*>(key)); }

std::string Signer::NewPem() {
  const Pkey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t(3072)));
  const Certificate certificate = key ? SelfSigned(key.get()) : nullptr;
  const Bio bio(BIO_new(BIO_s_mem()));
  if (!certificate || !bio ||
      PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1 ||
      PEM_write_bio_X509(bio.get(), certificate.get()) != 1)
    return {};
  return TextOf(bio.get());
}

Result<std::shared_ptr<const Signer>> Signer::FromPem(const Secret& pem) {
  const Bio first = Reader(pem.Reveal()), second = Reader(pem.Reveal());
  Pkey key(PEM_read_bio_PrivateKey(first.get(), nullptr, nullptr, nullptr));
  const Certificate certificate(PEM_read_bio_X509(second.get(), nullptr, nullptr, nullptr));
  ERR_clear_error();
  if (!key || !certificate || EVP_PKEY_get_base_id(key.get()) != EVP_PKEY_RSA ||
      X509_check_private_key(certificate.get(), key.get()) != 1) {
    ERR_clear_error();
    return Fail(Errc::config_invalid, "not a private RSA key with its certificate");
  }
  unsigned char* der = nullptr;
  const int size = i2d_X509(certificate.get(), &der);
  std::shared_ptr<Signer> made(new Signer);
  made->certificate_ = Base64Encode(
      AsBytes(std::string_view(reinterpret_cast<const char*>(der), size > 0 ? size_t(size) : 0)));
  OPENSSL_free(der);
  made->key_.reset(key.release());
  return made;
}

std::string Signer::Sign(std::string_view text) const {
  const Digest context(EVP_MD_CTX_new());
  auto* key = static_cast<EVP_PKEY*>(key_.get());
  std::string out(size_t(EVP_PKEY_get_size(key)), '\0');
  size_t size = out.size();
  const bool good =
      context && EVP_DigestSignInit(context.get(), nullptr, EVP_sha256(), nullptr, key) == 1 &&
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                     reinterpret_cast<const unsigned char*>(text.data()), text.size()) == 1;
  out.resize(good ? size : 0);
  return out;
}

}  // namespace sallyport::saml
