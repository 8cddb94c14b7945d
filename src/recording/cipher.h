#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/result.h"
#include "base/secret.h"

struct evp_cipher_ctx_st;

namespace sallyport::recording {

/// A key of 256 bits; wiped when it dies.
class Key {
 public:
  Key() = default;
  explicit Key(ByteView bytes);  // exactly 32
  Key(const Key& other) = default;
  Key& operator=(const Key& other) = default;
  ~Key();
  static Key New();  // of the kernel's random source

  /// A key encryption key as people keep it: 32 bytes in base64, either alphabet, or in hexadecimal
  /// digits. config_invalid otherwise.
  static Result<Key> Read(const Secret& text);

  ByteView bytes() const { return bytes_; }
  uint8_t* data() { return bytes_.data(); }

 private:
  std::array<uint8_t, 32> bytes_{};
};

/// HKDF-SHA-256 (RFC 5869) of `key` into all of `out`.
void Derive(ByteView key, ByteView salt, std::string_view info, std::span<uint8_t> out);

std::array<uint8_t, 32> Digest(std::string_view bytes);  // SHA-256

/// AES-256-GCM (NIST SP 800-38D) under one key. Whoever calls answers for it that a nonce is never
/// used twice. One thread at a time.
class Gcm {
 public:
  static constexpr size_t kTag = 16;
  using Nonce = std::array<uint8_t, 12>;

  explicit Gcm(const Key& key);
  ~Gcm();
  Gcm(const Gcm&) = delete;

  /// Appends `text` encrypted and its tag. `about` is authenticated, not contained.
  void Seal(const Nonce& nonce, std::string_view about, std::string_view text, std::string& out);
  /// Appends the text; false where anything is not as it was sealed: then nothing is appended.
  bool Open(const Nonce& nonce, std::string_view about, std::string_view sealed, std::string& out);

 private:
  evp_cipher_ctx_st* seal_;
  evp_cipher_ctx_st* open_;
};

}  // namespace sallyport::recording
