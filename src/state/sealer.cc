#include "state/sealer.h"

#include <memory>
#include <new>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <stdexcept>

#include "base/bytes.h"

namespace sallyport::state {
namespace {

constexpr size_t kNonce = 12;
constexpr size_t kTag = 16;
constexpr char kVersion = 1;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;
using Kdf = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;

void Require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL: AES-256-GCM, HKDF or random bytes not available");
}

Cipher NewCipher() {
  Cipher c(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  if (!c) throw std::bad_alloc();
  return c;
}

uint8_t* Bytes(std::string& s) { return reinterpret_cast<uint8_t*>(s.data()); }

void Derive(ByteView key, std::string_view label, std::array<uint8_t, 32>& out) {
  const Kdf kdf(EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), &EVP_PKEY_CTX_free);
  size_t size = out.size();
  Require(kdf && EVP_PKEY_derive_init(kdf.get()) == 1 &&
          EVP_PKEY_CTX_set_hkdf_md(kdf.get(), EVP_sha256()) == 1 &&
          EVP_PKEY_CTX_set1_hkdf_key(kdf.get(), key.data(), int(key.size())) == 1 &&
          EVP_PKEY_CTX_add1_hkdf_info(kdf.get(), AsBytes(label).data(), int(label.size())) == 1 &&
          EVP_PKEY_derive(kdf.get(), out.data(), &size) == 1 && size == out.size());
}

}  // namespace

Result<Sealer> Sealer::Make(const Secret& key) {
  std::string_view text = key.Reveal();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  auto bytes = Base64UrlDecode(text);
  if (!bytes || bytes->size() != 32)
    return Fail(Errc::config_invalid, "the key of the state must be 32 bytes in URL-safe base64");
  Sealer sealer;
  Derive(*bytes, "sallyport state seal v1", sealer.seal_);
  Derive(*bytes, "sallyport state digest v1", sealer.digest_);
  OPENSSL_cleanse(bytes->data(), bytes->size());
  return sealer;
}

Sealer::~Sealer() {
  OPENSSL_cleanse(seal_.data(), seal_.size());
  OPENSSL_cleanse(digest_.data(), digest_.size());
}

std::string Sealer::Seal(std::string_view place, std::string_view text) const {
  std::string out(1 + kNonce + text.size() + kTag, kVersion);
  uint8_t* nonce = Bytes(out) + 1;
  uint8_t* body = nonce + kNonce;
  Require(RAND_bytes(nonce, kNonce) == 1);
  const Cipher c = NewCipher();
  int n = 0;
  Require(EVP_EncryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, seal_.data(), nonce) == 1 &&
          EVP_EncryptUpdate(c.get(), nullptr, &n, AsBytes(place).data(), int(place.size())) == 1 &&
          EVP_EncryptUpdate(c.get(), body, &n, AsBytes(text).data(), int(text.size())) == 1 &&
          EVP_EncryptFinal_ex(c.get(), body + n, &n) == 1 &&
          EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_GET_TAG, kTag, body + text.size()) == 1);
  return out;
}

Result<std::string> Sealer::Open(std::string_view place, std::string_view sealed) const {
  const auto bad = [] {
    return Fail(Errc::state_unavailable,
                "state: a sealed value was not made with this key, or was changed");
  };
  if (sealed.size() < 1 + kNonce + kTag || sealed[0] != kVersion) return bad();
  const size_t size = sealed.size() - 1 - kNonce - kTag;
  const uint8_t* nonce = AsBytes(sealed).data() + 1;
  std::string tag(sealed.substr(sealed.size() - kTag)), plain(size, '\0');
  const Cipher c = NewCipher();
  int n = 0;
  Require(EVP_DecryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, seal_.data(), nonce) == 1 &&
          EVP_DecryptUpdate(c.get(), nullptr, &n, AsBytes(place).data(), int(place.size())) == 1 &&
          EVP_DecryptUpdate(c.get(), Bytes(plain), &n, nonce + kNonce, int(size)) == 1 &&
          EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1);
  uint8_t rest[16];
  if (EVP_DecryptFinal_ex(c.get(), rest, &n) != 1) return bad();
  return plain;
}

std::string Sealer::Digest(std::string_view purpose, std::string_view text) const {
  std::string both = std::to_string(purpose.size());
  both.append(":").append(purpose).append(std::to_string(text.size())).append(":").append(text);
  uint8_t mac[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  Require(HMAC(EVP_sha256(), digest_.data(), int(digest_.size()), AsBytes(both).data(), both.size(),
               mac, &size) != nullptr);
  OPENSSL_cleanse(both.data(), both.size());
  return HexEncode(ByteView(mac, size));
}

}  // namespace sallyport::state
