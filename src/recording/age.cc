#include "recording/age.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdexcept>

#include "base/ids.h"

namespace sallyport::recording {
namespace {

constexpr size_t kAgeChunk = 64 << 10;
constexpr size_t kAgeTag = 16;

void Require(bool good) {
  if (!good) throw std::runtime_error("OpenSSL: ChaCha20-Poly1305 or X25519 not available");
}

/// The checksum of BIP 173.
uint32_t Polymod(std::string_view prefix, std::string_view values) {
  uint32_t sum = 1;
  const auto add = [&sum](uint32_t value) {
    constexpr uint32_t kGenerator[] = {0x3b6a57b2, 0x26508e6d, 0x1ea119fa, 0x3d4233dd, 0x2a1462b3};
    const uint32_t top = sum >> 25;
    sum = (sum & 0x1ffffff) << 5 ^ value;
    for (int i = 0; i < 5; ++i) sum ^= (top >> i & 1) ? kGenerator[i] : 0;
  };
  for (const char c : prefix) add(uint32_t(c) >> 5);
  add(0);
  for (const char c : prefix) add(uint32_t(c) & 31);
  for (const char c : values) add(uint32_t(c));
  return sum;
}

std::string Unpadded(ByteView bytes) {
  std::string text = Base64Encode(bytes);
  while (text.ends_with('=')) text.pop_back();
  return text;
}

/// ChaCha20-Poly1305 (RFC 8439): `text` and its tag.
std::string SealChaCha(const Key& key, ByteView nonce, std::string_view text) {
  const std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)> c(EVP_CIPHER_CTX_new(),
                                                                          &EVP_CIPHER_CTX_free);
  std::string out(text.size() + kAgeTag, '\0');
  auto* to = reinterpret_cast<uint8_t*>(out.data());
  int n = 0;
  Require(c &&
          EVP_EncryptInit_ex2(c.get(), EVP_chacha20_poly1305(), key.bytes().data(), nonce.data(),
                              nullptr) == 1 &&
          EVP_EncryptUpdate(c.get(), to, &n, AsBytes(text).data(), int(text.size())) == 1 &&
          EVP_EncryptFinal_ex(c.get(), to + n, &n) == 1 &&
          EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_AEAD_GET_TAG, kAgeTag, to + text.size()) == 1);
  return out;
}

struct Exchange {
  std::array<uint8_t, 32> share{};   // of this file's own key
  std::array<uint8_t, 32> secret{};  // with the recipient
};

/// RFC 7748; false where the recipient is a point of small order.
bool Agree(const std::array<uint8_t, 32>& recipient, Exchange& out) {
  using Pkey = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
  using Context = std::unique_ptr<EVP_PKEY_CTX, decltype(&EVP_PKEY_CTX_free)>;
  const Pkey own(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"), &EVP_PKEY_free);
  const Pkey peer(EVP_PKEY_new_raw_public_key(EVP_PKEY_X25519, nullptr, recipient.data(), 32),
                  &EVP_PKEY_free);
  size_t size = 32;
  Require(own && peer && EVP_PKEY_get_raw_public_key(own.get(), out.share.data(), &size) == 1);
  const Context context(EVP_PKEY_CTX_new(own.get(), nullptr), &EVP_PKEY_CTX_free);
  return context && EVP_PKEY_derive_init(context.get()) == 1 &&
         EVP_PKEY_derive_set_peer(context.get(), peer.get()) == 1 &&
         EVP_PKEY_derive(context.get(), out.secret.data(), &size) == 1 && size == 32;
}

}  // namespace

Result<std::array<uint8_t, 32>> ReadAgeRecipient(std::string_view text) {
  const auto bad = [] {
    return Fail(Errc::config_invalid,
                "it is no age recipient: one begins with age1 and is what age-keygen prints");
  };
  constexpr std::string_view kPrefix = "age", kLetters = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";
  if (text.size() != 62 || !text.starts_with("age1")) return bad();
  std::string values;
  for (const char c : text.substr(4)) {
    const size_t at = kLetters.find(c);
    if (at == kLetters.npos) return bad();
    values += char(at);
  }
  if (Polymod(kPrefix, values) != 1) return bad();
  std::array<uint8_t, 32> out{};
  uint32_t bits = 0, have = 0;
  size_t n = 0;
  for (const char c : std::string_view(values).substr(0, 52)) {
    bits = (bits << 5 | uint32_t(c)) & 0xfff;
    have += 5;
    if (have < 8) continue;
    have -= 8;
    out[n++] = uint8_t(bits >> have);
  }
  if ((bits & ((1u << have) - 1)) != 0) return bad();
  return out;
}

Result<AgeWriter> AgeWriter::Begin(std::string_view recipient, Sink sink) {
  SALLYPORT_TRY(const auto to, ReadAgeRecipient(recipient));
  Exchange exchange;
  if (!Agree(to, exchange))
    return Fail(Errc::config_invalid, "no key can be agreed with this recipient");
  std::array<uint8_t, 32> wrap, mac;
  const std::string both = std::string(AsText(exchange.share)) + std::string(AsText(to));
  Derive(exchange.secret, AsBytes(both), "age-encryption.org/v1/X25519", wrap);
  std::string file_key = NewRandom(16), nonce = NewRandom(16);
  constexpr std::array<uint8_t, 12> kZero{};
  std::string header = "age-encryption.org/v1\n-> X25519 " + Unpadded(exchange.share) + '\n';
  header += Unpadded(AsBytes(SealChaCha(Key(wrap), kZero, file_key))) + "\n---";
  Derive(AsBytes(file_key), {}, "header", mac);
  std::array<uint8_t, 32> sum;
  unsigned size = 0;
  Require(HMAC(EVP_sha256(), mac.data(), int(mac.size()), AsBytes(header).data(), header.size(),
               sum.data(), &size) != nullptr);
  header += ' ' + Unpadded(sum) + '\n';
  std::array<uint8_t, 32> payload;
  Derive(AsBytes(file_key), AsBytes(nonce), "payload", payload);
  AgeWriter writer(std::move(sink), Key(payload));
  OPENSSL_cleanse(file_key.data(), file_key.size());
  for (auto* bytes : {&exchange.secret, &wrap, &mac, &payload})
    OPENSSL_cleanse(bytes->data(), bytes->size());
  SALLYPORT_CHECK(writer.sink_(header + nonce));
  return writer;
}

Result<> AgeWriter::Write(std::string_view text) {
  while (!text.empty()) {
    if (text_.size() == kAgeChunk) {
      // Only now: the last chunk may be a full one, but not one with nothing in it.
      SALLYPORT_CHECK(Chunk(text_, false));
      text_.clear();
    }
    const std::string_view part = text.substr(0, kAgeChunk - text_.size());
    text_ += part;
    text.remove_prefix(part.size());
  }
  return {};
}

Result<> AgeWriter::Finish() { return Chunk(text_, true); }

Result<> AgeWriter::Chunk(std::string_view text, bool last) {
  std::array<uint8_t, 12> nonce{};  // a counter of 11 bytes, then whether it is the last
  for (int i = 0; i < 8; ++i) nonce[size_t(10 - i)] = uint8_t(chunks_ >> (8 * i));
  nonce[11] = last ? 1 : 0;
  ++chunks_;
  return sink_(SealChaCha(key_, nonce, text));
}

}  // namespace sallyport::recording
