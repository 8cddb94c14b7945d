#include "recording/cipher.h"

#include <cstring>
#include <new>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/rand.h>
#include <optional>
#include <stdexcept>

namespace sallyport::recording {
namespace {

void Require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL: AES-256-GCM, HKDF or random bytes not available");
}

std::optional<std::vector<uint8_t>> HexDecode(std::string_view text) {
  if (text.size() % 2 != 0) return std::nullopt;
  std::vector<uint8_t> out;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    c = char(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    out.push_back(uint8_t(high << 4 | low));
  }
  return out;
}

}  // namespace

Key::Key(ByteView bytes) {
  if (bytes.size() == bytes_.size()) std::memcpy(bytes_.data(), bytes.data(), bytes_.size());
}

Key::~Key() { OPENSSL_cleanse(bytes_.data(), bytes_.size()); }

Key Key::New() {
  Key key;
  Require(RAND_priv_bytes(key.bytes_.data(), int(key.bytes_.size())) == 1);
  return key;
}

Result<Key> Key::Read(const Secret& secret) {
  std::string_view text = secret.Reveal();
  while (!text.empty() && (text.back() == '\n' || text.back() == '\r')) text.remove_suffix(1);
  std::optional<std::vector<uint8_t>> bytes;
  if (text.size() == 64) bytes = HexDecode(text);
  if (!bytes) bytes = Base64Decode(text);
  if (!bytes) bytes = Base64UrlDecode(text);
  if (!bytes || bytes->size() != 32) {
    return Fail(Errc::config_invalid,
                "the key of the recordings (kek) must be 32 bytes in base64 or in hexadecimal "
                "digits, as `openssl rand -base64 32` makes them");
  }
  Key key(*bytes);
  OPENSSL_cleanse(bytes->data(), bytes->size());
  return key;
}

void Derive(ByteView key, ByteView salt, std::string_view info, std::span<uint8_t> out) {
  const std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)> kdf(
      EVP_PKEY_CTX_new_id(EVP_PKEY_HKDF, nullptr), &EVP_PKEY_CTX_free);
  size_t size = out.size();
  Require(kdf && EVP_PKEY_derive_init(kdf.get()) == 1 &&
          EVP_PKEY_CTX_set_hkdf_md(kdf.get(), EVP_sha256()) == 1 &&
          (salt.empty() ||
           EVP_PKEY_CTX_set1_hkdf_salt(kdf.get(), salt.data(), int(salt.size())) == 1) &&
          EVP_PKEY_CTX_set1_hkdf_key(kdf.get(), key.data(), int(key.size())) == 1 &&
          EVP_PKEY_CTX_add1_hkdf_info(kdf.get(), AsBytes(info).data(), int(info.size())) == 1 &&
          EVP_PKEY_derive(kdf.get(), out.data(), &size) == 1 && size == out.size());
}

std::array<uint8_t, 32> Digest(std::string_view bytes) {
  // Fetched once: an implicit fetch costs more than hashing a short message.
  static const EVP_MD* const sha256 = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  thread_local const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(
      EVP_MD_CTX_new(), &EVP_MD_CTX_free);
  std::array<uint8_t, 32> out{};
  unsigned size = 0;
  Require(sha256 != nullptr && context && EVP_DigestInit_ex2(context.get(), sha256, nullptr) == 1 &&
          EVP_DigestUpdate(context.get(), bytes.data(), bytes.size()) == 1 &&
          EVP_DigestFinal_ex(context.get(), out.data(), &size) == 1);
  return out;
}

Gcm::Gcm(const Key& key) : seal_(EVP_CIPHER_CTX_new()), open_(EVP_CIPHER_CTX_new()) {
  if (seal_ == nullptr || open_ == nullptr) throw std::bad_alloc();
  static EVP_CIPHER* const aes = EVP_CIPHER_fetch(nullptr, "AES-256-GCM", nullptr);
  Require(aes != nullptr &&
          EVP_EncryptInit_ex2(seal_, aes, key.bytes().data(), nullptr, nullptr) == 1 &&
          EVP_DecryptInit_ex2(open_, aes, key.bytes().data(), nullptr, nullptr) == 1);
}

Gcm::~Gcm() {
  EVP_CIPHER_CTX_free(seal_);
  EVP_CIPHER_CTX_free(open_);
}

void Gcm::Seal(const Nonce& nonce, std::string_view about, std::string_view text,
               std::string& out) {
  const size_t from = out.size();
  out.resize(from + text.size() + kTag);
  auto* to = reinterpret_cast<uint8_t*>(out.data() + from);
  int n = 0;
  Require(EVP_EncryptInit_ex2(seal_, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
          EVP_EncryptUpdate(seal_, nullptr, &n, AsBytes(about).data(), int(about.size())) == 1 &&
          EVP_EncryptUpdate(seal_, to, &n, AsBytes(text).data(), int(text.size())) == 1 &&
          EVP_EncryptFinal_ex(seal_, to + n, &n) == 1 &&
          EVP_CIPHER_CTX_ctrl(seal_, EVP_CTRL_GCM_GET_TAG, kTag, to + text.size()) == 1);
}

bool Gcm::Open(const Nonce& nonce, std::string_view about, std::string_view sealed,
               std::string& out) {
  if (sealed.size() < kTag) return false;
  const size_t from = out.size(), size = sealed.size() - kTag;
  std::string tag(sealed.substr(size));
  out.resize(from + size + 16);
  auto* to = reinterpret_cast<uint8_t*>(out.data() + from);
  int n = 0;
  const bool good =
      EVP_DecryptInit_ex2(open_, nullptr, nullptr, nonce.data(), nullptr) == 1 &&
      EVP_DecryptUpdate(open_, nullptr, &n, AsBytes(about).data(), int(about.size())) == 1 &&
      EVP_DecryptUpdate(open_, to, &n, AsBytes(sealed).data(), int(size)) == 1 &&
      EVP_CIPHER_CTX_ctrl(open_, EVP_CTRL_GCM_SET_TAG, kTag, tag.data()) == 1 &&
      EVP_DecryptFinal_ex(open_, to + size, &n) == 1;
  if (!good) OPENSSL_cleanse(to, size);
  out.resize(good ? from + size : from);
  return good;
}

}  // namespace sallyport::recording
