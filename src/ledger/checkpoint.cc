#include "ledger/checkpoint.h"

#include <charconv>
#include <cstring>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <optional>
#include <sys/random.h>
#include <vector>

#include "base/bytes.h"

namespace sallyport::ledger {
namespace {

constexpr uint8_t kEd25519 = 0x01;
constexpr size_t kKeyBytes = 32, kSignatureBytes = 64, kMaxSignatures = 64, kMaxNoteBytes = 1 << 20;
constexpr std::string_view kDash = "\xe2\x80\x94 ";  // U+2014 and a space begin a signature line

struct FreeKey {
  void operator()(EVP_PKEY* k) const { EVP_PKEY_free(k); }
};
struct FreeContext {
  void operator()(EVP_MD_CTX* c) const { EVP_MD_CTX_free(c); }
};
using KeyPtr = std::unique_ptr<EVP_PKEY, FreeKey>;
using ContextPtr = std::unique_ptr<EVP_MD_CTX, FreeContext>;

/// SHA-256(name ‖ LF ‖ type ‖ public key), first four bytes.
std::array<uint8_t, 4> KeyId(std::string_view name, ByteView typed_key) {
  std::string text(name);
  text += '\n';
  text += AsText(typed_key);
  const Hash h = Sha256(text);
  return {h[0], h[1], h[2], h[3]};
}

std::vector<uint8_t> Typed(ByteView key) {
  std::vector<uint8_t> typed{kEd25519};
  typed.insert(typed.end(), key.begin(), key.end());
  return typed;
}

std::string Vkey(std::string_view name, ByteView public_key) {
  const std::vector<uint8_t> typed = Typed(public_key);
  std::string out(name);
  out += '+' + HexEncode(KeyId(name, typed)) + '+' + Base64Encode(typed);
  return out;
}

/// name, hash, key of "name+hash+base64"; the key's first byte is its type. Checks everything but
/// the hash.
struct KeyParts {
  std::string_view name;
  std::string_view hash;
  std::vector<uint8_t> key;  // without the type byte
};
std::optional<KeyParts> SplitKey(std::string_view text) {
  const size_t a = text.find('+');
  if (a == std::string_view::npos) return std::nullopt;
  const size_t b = text.find('+', a + 1);
  if (b == std::string_view::npos) return std::nullopt;
  KeyParts parts{text.substr(0, a), text.substr(a + 1, b - a - 1), {}};
  auto typed = Base64Decode(text.substr(b + 1));
  if (!typed || typed->size() != 1 + kKeyBytes || (*typed)[0] != kEd25519) return std::nullopt;
  if (!ValidKeyName(parts.name) || parts.hash.size() != 8) return std::nullopt;
  parts.key.assign(typed->begin() + 1, typed->end());
  OPENSSL_cleanse(typed->data(), typed->size());
  return parts;
}

Result<KeyPtr> ReadPrivateKey(std::string_view name, std::string_view secret) {
  KeyPtr key;
  if (secret.size() == kKeyBytes) {
    key.reset(EVP_PKEY_new_raw_private_key(
        EVP_PKEY_ED25519, nullptr, reinterpret_cast<const uint8_t*>(secret.data()), secret.size()));
  } else if (secret.starts_with("PRIVATE+KEY+")) {
    while (secret.ends_with('\n') || secret.ends_with('\r')) secret.remove_suffix(1);
    auto parts = SplitKey(secret.substr(12));
    if (!parts)
      return Fail(Errc::config_invalid, "the log's signing key is not a valid PRIVATE+KEY line");
    if (parts->name != name) {
      return Fail(Errc::config_invalid,
                  "the log's signing key is for another origin than the configured one");
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
                "the log's signing key is not an Ed25519 key: give PEM (openssl genpkey -algorithm "
                "ed25519), a "
                "PRIVATE+KEY line, or 32 raw bytes");
  }
  return key;
}

}  // namespace

struct NoteSigner::Key {
  KeyPtr pkey;
};
struct NoteVerifier::Key {
  KeyPtr pkey;
};

NoteSigner::NoteSigner() = default;
NoteSigner::NoteSigner(NoteSigner&&) noexcept = default;
NoteSigner& NoteSigner::operator=(NoteSigner&&) noexcept = default;
NoteSigner::~NoteSigner() = default;
NoteVerifier::NoteVerifier() = default;
NoteVerifier::NoteVerifier(NoteVerifier&&) noexcept = default;
NoteVerifier& NoteVerifier::operator=(NoteVerifier&&) noexcept = default;
NoteVerifier::~NoteVerifier() = default;

bool ValidKeyName(std::string_view name) {
  if (name.empty()) return false;
  for (unsigned char c : name) {
    if (c <= 0x20 || c == 0x7f || c == '+' || c >= 0x80)
      return false;  // ASCII only: no Unicode spaces to know
  }
  return true;
}

std::string CheckpointText(const Checkpoint& checkpoint) {
  return checkpoint.origin + '\n' + std::to_string(checkpoint.size) + '\n' +
         Base64Encode(checkpoint.root) + '\n';
}

Result<Checkpoint> ParseCheckpointText(std::string_view text) {
  const auto malformed = [](const char* what) { return Fail(Errc::request_malformed, what); };
  const size_t a = text.find('\n');
  if (a == std::string_view::npos) return malformed("checkpoint: no origin line");
  const size_t b = text.find('\n', a + 1);
  if (b == std::string_view::npos) return malformed("checkpoint: no size line");
  const size_t c = text.find('\n', b + 1);
  if (c == std::string_view::npos || c + 1 != text.size()) {
    return malformed("checkpoint: expected exactly three lines");
  }
  Checkpoint out;
  out.origin = text.substr(0, a);
  if (!ValidKeyName(out.origin)) return malformed("checkpoint: the origin is not a key name");
  const std::string_view size = text.substr(a + 1, b - a - 1);
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), out.size);
  if (error != std::errc() || end != size.data() + size.size() ||
      std::to_string(out.size) != size) {
    return malformed("checkpoint: the size is not a canonical decimal number");
  }
  const auto root = Base64Decode(text.substr(b + 1, c - b - 1));
  if (!root || root->size() != out.root.size()) {
    return malformed("checkpoint: the root is not a canonical base64 SHA-256");
  }
  std::memcpy(out.root.data(), root->data(), out.root.size());
  return out;
}

Result<NoteSigner> NoteSigner::Make(std::string name, const Secret& key) {
  if (!ValidKeyName(name)) {
    return Fail(Errc::config_invalid, "the log's origin must not be empty or hold spaces or '+'");
  }
  NoteSigner signer;
  signer.key_ = std::make_unique<Key>();
  SALLYPORT_TRY(signer.key_->pkey, ReadPrivateKey(name, key.Reveal()));
  std::array<uint8_t, kKeyBytes> raw{};
  size_t length = raw.size();
  if (EVP_PKEY_get_raw_public_key(signer.key_->pkey.get(), raw.data(), &length) != 1) {
    return Fail(Errc::internal, "cannot derive the public key of the log");
  }
  signer.id_ = KeyId(name, Typed(raw));
  signer.vkey_ = Vkey(name, raw);
  signer.name_ = std::move(name);
  return signer;
}

Result<std::string> NoteSigner::Sign(std::string_view text) const {
  std::array<uint8_t, 4 + kSignatureBytes> blob{};
  std::memcpy(blob.data(), id_.data(), id_.size());
  size_t length = kSignatureBytes;
  const ContextPtr context(EVP_MD_CTX_new());
  if (!context ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, key_->pkey.get()) != 1 ||
      EVP_DigestSign(context.get(), blob.data() + 4, &length,
                     reinterpret_cast<const uint8_t*>(text.data()), text.size()) != 1) {
    return Fail(Errc::ledger_unavailable, "signing a checkpoint failed");
  }
  std::string note(text);
  note += '\n';
  note += kDash;
  note += name_ + ' ' + Base64Encode(blob) + '\n';
  return note;
}

Result<NoteVerifier> NoteVerifier::Make(std::string_view vkey) {
  const auto parts = SplitKey(vkey);
  if (!parts) return Fail(Errc::config_invalid, "not an Ed25519 verifier key (name+hash+base64)");
  NoteVerifier verifier;
  verifier.id_ = KeyId(parts->name, Typed(parts->key));
  if (HexEncode(verifier.id_) != parts->hash) {
    return Fail(Errc::config_invalid, "the verifier key's hash does not match its name and key");
  }
  verifier.key_ = std::make_unique<Key>();
  verifier.key_->pkey.reset(
      EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, parts->key.data(), parts->key.size()));
  if (!verifier.key_->pkey)
    return Fail(Errc::config_invalid, "the verifier key is not a point of Ed25519");
  verifier.name_ = parts->name;
  verifier.vkey_ = vkey;
  return verifier;
}

Result<std::string> NoteVerifier::Open(std::string_view note) const {
  const auto reject = [](const char* what) { return Fail(Errc::token_signature_invalid, what); };
  if (note.size() > kMaxNoteBytes) return reject("signed note: too long");
  for (unsigned char c : note) {
    if ((c < 0x20 && c != '\n') || c == 0x7f) return reject("signed note: control character");
  }
  const size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos || !note.ends_with('\n'))
    return reject("signed note: no signatures");
  const std::string_view text = note.substr(0, split + 1);
  std::string_view rest = note.substr(split + 2);
  bool verified = false;
  for (size_t lines = 0; !rest.empty(); ++lines) {
    if (lines == kMaxSignatures) return reject("signed note: too many signatures");
    const size_t end = rest.find('\n');
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(end + 1);
    if (!line.starts_with(kDash)) return reject("signed note: malformed signature line");
    line.remove_prefix(kDash.size());
    const size_t space = line.find(' ');
    if (space == std::string_view::npos || space == 0)
      return reject("signed note: malformed signature line");
    const auto blob = Base64Decode(line.substr(space + 1));
    if (!blob || blob->size() < 5) return reject("signed note: signature is not canonical base64");
    if (line.substr(0, space) != name_ || std::memcmp(blob->data(), id_.data(), id_.size()) != 0)
      continue;
    const ContextPtr context(EVP_MD_CTX_new());
    if (blob->size() != 4 + kSignatureBytes || !context ||
        EVP_DigestVerifyInit(context.get(), nullptr, nullptr, nullptr, key_->pkey.get()) != 1 ||
        EVP_DigestVerify(context.get(), blob->data() + 4, kSignatureBytes,
                         reinterpret_cast<const uint8_t*>(text.data()), text.size()) != 1) {
      return reject("signed note: the signature does not verify");
    }
    if (verified) return reject("signed note: two signatures of one key");
    verified = true;
  }
  if (!verified) return reject("signed note: no signature of the expected key");
  return std::string(text);
}

Result<Checkpoint> NoteVerifier::OpenCheckpoint(std::string_view note) const {
  SALLYPORT_TRY(const std::string text, Open(note));
  SALLYPORT_TRY(Checkpoint checkpoint, ParseCheckpointText(text));
  if (checkpoint.origin != name_) {
    return Fail(Errc::token_signature_invalid, "checkpoint: the origin is not the key's name");
  }
  return checkpoint;
}

Result<Checkpoint> PeekCheckpoint(std::string_view note) {
  const size_t split = note.rfind("\n\n");
  if (split == std::string_view::npos)
    return Fail(Errc::request_malformed, "checkpoint: no signatures");
  return ParseCheckpointText(note.substr(0, split + 1));
}

Result<Secret> GenerateSigningKey(std::string_view name) {
  if (!ValidKeyName(name)) return Fail(Errc::config_invalid, "not a valid log origin");
  std::array<uint8_t, kKeyBytes> seed{};
  if (getrandom(seed.data(), seed.size(), 0) != ssize_t(seed.size())) {
    return Fail(Errc::io_failed, "no random bytes from the kernel");
  }
  const Secret raw(std::string(AsText(seed)));
  SALLYPORT_TRY(const NoteSigner signer, NoteSigner::Make(std::string(name), raw));
  const std::vector<uint8_t> typed = Typed(seed);
  const std::string& vkey = signer.vkey();
  std::string line =
      "PRIVATE+KEY+" + std::string(name) + vkey.substr(name.size(), 10) + Base64Encode(typed);
  OPENSSL_cleanse(seed.data(), seed.size());
  return Secret(std::move(line));
}

}  // namespace sallyport::ledger
