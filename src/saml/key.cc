#include "saml/key.h"

#include <algorithm>
#include <array>
#include <memory>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>

namespace sallyport::saml {
namespace {

struct PkeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using Pkey = std::unique_ptr<EVP_PKEY, PkeyFree>;

Pkey ReadKey(std::string_view spki) {
  const auto* at = reinterpret_cast<const unsigned char*>(spki.data());
  const unsigned char* const end = at + spki.size();
  Pkey key(d2i_PUBKEY(nullptr, &at, long(spki.size())));
  ERR_clear_error();
  return at == end ? std::move(key) : nullptr;
}

bool Usable(EVP_PKEY* key) {
  if (key == nullptr) return false;
  const int bits = EVP_PKEY_get_bits(key);
  if (EVP_PKEY_get_base_id(key) == EVP_PKEY_RSA) return bits >= 2048 && bits <= 8192;
  if (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC) return false;
  std::array<char, 64> group{};
  size_t length = 0;
  if (EVP_PKEY_get_group_name(key, group.data(), group.size(), &length) != 1) return false;
  static constexpr std::array<std::string_view, 3> kCurves{"prime256v1", "secp384r1", "secp521r1"};
  return std::ranges::find(kCurves, std::string_view(group.data(), length)) != kCurves.end();
}

}  // namespace

bool IsUsableKey(std::string_view spki) { return Usable(ReadKey(spki).get()); }

std::string KeyOfCertificate(std::string_view der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  X509* certificate = d2i_X509(nullptr, &at, long(der.size()));
  if (certificate == nullptr) {
    ERR_clear_error();
    return {};
  }
  const Pkey key(X509_get_pubkey(certificate));
  X509_free(certificate);
  ERR_clear_error();
  if (!Usable(key.get())) return {};
  unsigned char* out = nullptr;
  const int size = i2d_PUBKEY(key.get(), &out);
  std::string spki(reinterpret_cast<const char*>(out), size > 0 ? size_t(size) : 0);
  OPENSSL_free(out);
  return spki;
}

}  // namespace sallyport::saml
