#include "ledger/note.h"

#include <cstring>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <optional>
#include <sys/random.h>

#include "base/bytes.h"
#include "ledger/tree.h"

namespace sallyport::ledger {
namespace {

constexpr size_t kKeyBytes = 32, kMaxSignatures = 64, kMaxNoteBytes = 1 << 20;
constexpr std::string_view kDash = "\xe2\x80\x94 ";  // U+2014 and a space begin a signature line

struct FreeContext {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};
using ContextPtr = std::unique_ptr<EVP_MD_CTX, FreeContext>;

/// SHA-256(name ‖ LF ‖ type ‖ public key), first four bytes.
KeyId IdOf(std::string_view name, ByteView typed_key) {
  std::string text(name);
  text += '\n';
  text += AsText(typed_key);
  const Hash h = Sha256(text);
  return {h[0], h[1], h[2], h[3]};
}

std::vector<uint8_t> Typed(KeyType type, ByteView key) {
  std::vector<uint8_t> typed{uint8_t(type)};
  typed.insert(typed.end(), key.begin(), key.end());
  return typed;
}

std::string Vkey(std::string_view name, ByteView typed_key) {
  return std::string(name) + '+' + HexEncode(IdOf(name, typed_key)) + '+' + Base64Encode(typed_key);
}

/// name, hash, key of "name+hash+base64"; the key's first byte is its type. Checks everything but
/// the hash.
struct KeyParts {
  std::string_view name;
  std::string_view hash;
  std::vector<uint8_t> key;  // without the type byte
};
std::optional<KeyParts> SplitKey(std::string_view text, KeyType type) {
  const size_t a = text.find('+');
  if (a == std::string_view::npos) return std::nullopt;
  const size_t b = text.find('+', a + 1);
  if (b == std::string_view::npos) return std::nullopt;
  KeyParts parts{text.substr(0, a), text.substr(a + 1, b - a - 1), {}};
  auto typed = Base64Decode(text.substr(b + 1));
  if (!typed || typed->size() != 1 + kKeyBytes || (*typed)[0] != uint8_t(type)) return std::nullopt;
  if (!ValidKeyName(parts.name) || parts.hash.size() != 8) return std::nullopt;
  parts.key.assign(typed->begin() + 1, typed->end());
  OPENSSL_cleanse(typed->data(), typed->size());
  return parts;
}

Result<KeyHandle> ReadPrivateKey(std::string_view name, std::string_view secret) {
  KeyHandle key;
  if (secret.size() == kKeyBytes) {
    key.reset(EVP_PKEY_new_raw_private_key(
        EVP_PKEY_ED25519, nullptr, reinterpret_cast<const uint8_t*>(secret.data()), secret.size()));
  } else if (secret.starts_with("PRIVATE+KEY+")) {
    while (secret.ends_with('\n') || secret.ends_with('\r')) secret.remove_suffix(1);
    auto parts = SplitKey(secret.substr(12), KeyType::ed25519);
    if (!parts)
      return Fail(Errc::config_invalid, "the signing key is not a valid PRIVATE+KEY line");
    if (parts->name != name) {
      return Fail(Errc::config_invalid,
                  "the signing key is for another name than the configured one");
    }
    key.reset(EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, parts->key.data(),
                                           parts->key.size()));
    OPENSSL_cleanse(parts->key.data(), parts->key.size());
  } else {
    const std::unique_ptr<BIO, decltype(&BIO_free)> bio(
        BIO_new_mem_buf(secret.data(), int(secret.size())), &BIO_free);
    // A callback that gives no passphrase: without it OpenSSL would ask on the terminal.
    const auto no_passphrase = [](char*, int, int, void*) { return -1; };
    key.reset(PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr));
  }
  if (!key || EVP_PKEY_get_id(key.get()) != EVP_PKEY_ED25519) {
    return Fail(Errc::config_invalid,
                "the signing key is not an Ed25519 key: give PEM (openssl genpkey -algorithm "
                "ed25519), a PRIVATE+KEY line, or 32 raw bytes");
  }
  return key;
}

}  // namespace

void FreeKey::operator()(evp_pkey_st* key) const { EVP_PKEY_free(key); }

bool ValidKeyName(std::string_view name) {
  if (name.empty()) return false;
  for (unsigned char c : name) {
    if (c <= 0x20 || c == 0x7f || c == '+' || c >= 0x80)
      return false;  // ASCII only: no Unicode spaces to know
  }
  return true;
}

Result<Note> ParseNote(std::string_view note) {
  const auto reject = [](const char* what) { return Fail(Errc::token_signature_invalid, what); };
  if (note.size() > kMaxNoteBytes) return reject("signed note: too long");
  for (unsigned char c : note) {
    if ((c < 0x20 && c != '\n') || c == 0x7f) return reject("signed note: control character");
  }
  const size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos || !note.ends_with('\n'))
    return reject("signed note: no signatures");
  Note out{note.substr(0, split + 1), {}};
  std::string_view rest = note.substr(split + 2);
  while (!rest.empty()) {
    if (out.signatures.size() == kMaxSignatures) return reject("signed note: too many signatures");
    const size_t end = rest.find('\n');
    const std::string_view whole = rest.substr(0, end + 1);
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.starts_with(kDash)) return reject("signed note: malformed signature line");
    line.remove_prefix(kDash.size());
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0)
      return reject("signed note: malformed signature line");
    const auto blob = Base64Decode(line.substr(space + 1));
    if (!blob || blob->size() < 5) return reject("signed note: signature is not canonical base64");
    NoteSignature& signature = out.signatures.emplace_back();
    signature.name = line.substr(0, space);
    signature.line = whole;
    std::memcpy(signature.id.data(), blob->data(), signature.id.size());
    signature.bytes.assign(blob->begin() + 4, blob->end());
  }
  return out;
}

Result<SigningKey> SigningKey::Make(std::string name, const Secret& secret, KeyType type) {
  if (!ValidKeyName(name)) {
    return Fail(Errc::config_invalid, "a key's name must not be empty or hold spaces or '+'");
  }
  SigningKey out;
  SALLYPORT_TRY(out.key_, ReadPrivateKey(name, secret.Reveal()));
  std::array<uint8_t, kKeyBytes> raw{};
  size_t length = raw.size();
  if (EVP_PKEY_get_raw_public_key(out.key_.get(), raw.data(), &length) != 1) {
    return Fail(Errc::internal, "cannot derive the public half of a signing key");
  }
  const std::vector<uint8_t> typed = Typed(type, raw);
  out.id_ = IdOf(name, typed);
  out.vkey_ = Vkey(name, typed);
  out.name_ = std::move(name);
  return out;
}

Result<std::string> SigningKey::SignatureLine(std::string_view bytes,
                                              std::string_view prefix) const {
  std::string blob(AsText(id_));
  blob += prefix;
  blob.resize(blob.size() + kSignatureBytes);
  size_t length = kSignatureBytes;
  const ContextPtr context(EVP_MD_CTX_new());
  if (!context || EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_.get()) != 1 ||
      EVP_DigestSign(context.get(),
                     reinterpret_cast<uint8_t*>(blob.data() + blob.size() - kSignatureBytes),
                     &length, reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()) != 1) {
    return Fail(Errc::ledger_unavailable, "signing a checkpoint failed");
  }
  std::string line(kDash);
  line += name_ + ' ' + Base64Encode(AsBytes(blob)) + '\n';
  return line;
}

Result<VerifyingKey> VerifyingKey::Make(std::string_view vkey, KeyType type) {
  const auto parts = SplitKey(vkey, type);
  if (!parts) return Fail(Errc::config_invalid, "not an Ed25519 verifier key (name+hash+base64)");
  VerifyingKey out;
  out.id_ = IdOf(parts->name, Typed(type, parts->key));
  if (HexEncode(out.id_) != parts->hash) {
    return Fail(Errc::config_invalid, "the verifier key's hash does not match its name and key");
  }
  out.key_.reset(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, parts->key.data(), parts->key.size()));
  if (!out.key_) return Fail(Errc::config_invalid, "the verifier key is not a point of Ed25519");
  out.name_ = parts->name;
  out.vkey_ = vkey;
  return out;
}

bool VerifyingKey::IsOf(const NoteSignature& signature) const {
  return signature.name == name_ && signature.id == id_;
}

bool VerifyingKey::Verify(std::string_view bytes, std::string_view signature) const {
  const ContextPtr context(EVP_MD_CTX_new());
  return signature.size() == kSignatureBytes && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_.get()) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const uint8_t*>(signature.data()),
                          signature.size(), reinterpret_cast<const uint8_t*>(bytes.data()),
                          bytes.size()) == 1;
}

Result<Secret> GenerateSigningKey(std::string_view name) {
  if (!ValidKeyName(name)) return Fail(Errc::config_invalid, "not a valid log origin");
  std::array<uint8_t, kKeyBytes> seed{};
  if (getrandom(seed.data(), seed.size(), 0) != ssize_t(seed.size())) {
    return Fail(Errc::io_failed, "no random bytes from the kernel");
  }
  const Secret raw(std::string(AsText(seed)));
  SALLYPORT_TRY(const SigningKey key, SigningKey::Make(std::string(name), raw, KeyType::ed25519));
  const std::vector<uint8_t> typed = Typed(KeyType::ed25519, seed);
  std::string line =
      "PRIVATE+KEY+" + std::string(name) + key.vkey().substr(name.size(), 10) + Base64Encode(typed);
  OPENSSL_cleanse(seed.data(), seed.size());
  return Secret(std::move(line));
}

}  // namespace sallyport::ledger
