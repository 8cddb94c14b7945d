#include "app/evidence_certificates.h"

#include <ctime>
#include <memory>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/bytes.h"

namespace sallyport::app {
namespace {

using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;

Nanos Time(const ASN1_TIME* time) {
  std::tm parts{};
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return Nanos(timegm(&parts)) * 1'000'000'000;
}

std::string Name(const X509_NAME* name) {
  const BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  X509_NAME_print_ex(bio.get(), name, 0, XN_FLAG_RFC2253 & ~ASN1_STRFLGS_ESC_MSB);
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, size > 0 ? size_t(size) : 0);
}

}  // namespace

void ReadCertificates(const std::string& use, const std::filesystem::path& file,
                      std::vector<evidence_pack::Setup::Certificate>& out) {
  if (file.empty()) return;
  const BioPtr bio(BIO_new_file(file.c_str(), "r"), BIO_free);
  size_t found = 0;
  for (; bio && found < 500; ++found) {
    const std::unique_ptr<X509, decltype(&X509_free)> x(
        PEM_read_bio_X509(bio.get(), nullptr, nullptr, nullptr), X509_free);
    if (!x) break;
    uint8_t digest[EVP_MAX_MD_SIZE];
    unsigned size = 0;
    X509_digest(x.get(), EVP_sha256(), digest, &size);
    out.push_back({.use = use,
                   .subject = Name(X509_get_subject_name(x.get())),
                   .issuer = Name(X509_get_issuer_name(x.get())),
                   .fingerprint = Base64Encode({digest, size}),
                   .file = file.string(),
                   .not_before = Time(X509_get0_notBefore(x.get())),
                   .not_after = Time(X509_get0_notAfter(x.get()))});
  }
  if (found == 0) out.push_back({.use = use, .file = file.string()});
}

}  // namespace sallyport::app
