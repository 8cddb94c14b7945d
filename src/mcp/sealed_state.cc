#include "mcp/sealed_state.h"

#include <cstring>
#include <fcntl.h>
#include <new>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <stdexcept>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include "base/bytes.h"

namespace sallyport::mcp {
namespace {

constexpr size_t kNonce = 12;
constexpr size_t kTag = 16;
constexpr size_t kTime = 8;
constexpr size_t kMaxSealed = 256 << 10;

using Cipher = std::unique_ptr<EVP_CIPHER_CTX, decltype(&EVP_CIPHER_CTX_free)>;

Cipher NewCipher() {
  Cipher c(EVP_CIPHER_CTX_new(), &EVP_CIPHER_CTX_free);
  if (!c) throw std::bad_alloc();
  return c;
}

void Require(bool good) {
  if (!good) throw std::runtime_error("AES-256-GCM is not available");
}

}  // namespace

Result<std::unique_ptr<SealedState>> SealedState::Make(const std::filesystem::path& state_dir) {
  std::unique_ptr<SealedState> state(new SealedState);
  std::error_code ignored;
  std::filesystem::create_directories(state_dir, ignored);
  const std::string file = (state_dir / "mcp-state.key").string();
  int fd = ::open(file.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (fd >= 0) {
    Require(RAND_bytes(state->key_.data(), static_cast<int>(state->key_.size())) == 1);
    const ssize_t n = ::write(fd, state->key_.data(), state->key_.size());
    const bool good = n == static_cast<ssize_t>(state->key_.size()) && ::fsync(fd) == 0;
    ::close(fd);
    if (!good) return Fail(Errc::io_failed, "cannot write " + file);
    return state;
  }
  fd = ::open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Fail(Errc::io_failed, "cannot read or make " + file);
  struct stat info{};
  uint8_t buffer[33];
  const bool closed = ::fstat(fd, &info) == 0 && (info.st_mode & 077) == 0;
  const ssize_t n = ::read(fd, buffer, sizeof(buffer));
  ::close(fd);
  if (!closed)
    return Fail(Errc::config_invalid, file + " must be readable by its owner only (chmod 600)");
  if (n != 32) return Fail(Errc::config_invalid, file + " must hold 32 bytes");
  std::memcpy(state->key_.data(), buffer, 32);
  OPENSSL_cleanse(buffer, sizeof(buffer));
  return state;
}

SealedState::~SealedState() { OPENSSL_cleanse(key_.data(), key_.size()); }

std::string SealedState::Seal(std::string_view binding, std::string_view text,
                              Nanos expires) const {
  std::string plain(kTime, '\0');
  for (size_t i = 0; i < kTime; ++i)
    plain[i] = static_cast<char>(static_cast<uint64_t>(expires) >> (8 * (7 - i)));
  plain.append(text);
  std::vector<uint8_t> out(kNonce + plain.size() + kTag);
  Require(RAND_bytes(out.data(), kNonce) == 1);
  const Cipher c = NewCipher();
  int n = 0;
  Require(EVP_EncryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, key_.data(), out.data()) == 1);
  Require(EVP_EncryptUpdate(c.get(), nullptr, &n, AsBytes(binding).data(),
                            static_cast<int>(binding.size())) == 1);
  Require(EVP_EncryptUpdate(c.get(), out.data() + kNonce, &n, AsBytes(plain).data(),
                            static_cast<int>(plain.size())) == 1);
  Require(EVP_EncryptFinal_ex(c.get(), out.data() + kNonce + n, &n) == 1);
  Require(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_GET_TAG, kTag,
                              out.data() + kNonce + plain.size()) == 1);
  return Base64UrlEncode(out);
}

std::optional<std::string> SealedState::Open(std::string_view binding, std::string_view sealed,
                                             Nanos now) const {
  if (sealed.size() > kMaxSealed) return std::nullopt;
  auto bytes = Base64UrlDecode(sealed);
  if (!bytes || bytes->size() < kNonce + kTime + kTag) return std::nullopt;
  const size_t size = bytes->size() - kNonce - kTag;
  std::string plain(size, '\0');
  const Cipher c = NewCipher();
  int n = 0;
  Require(EVP_DecryptInit_ex(c.get(), EVP_aes_256_gcm(), nullptr, key_.data(), bytes->data()) == 1);
  Require(EVP_DecryptUpdate(c.get(), nullptr, &n, AsBytes(binding).data(),
                            static_cast<int>(binding.size())) == 1);
  Require(EVP_DecryptUpdate(c.get(), reinterpret_cast<uint8_t*>(plain.data()), &n,
                            bytes->data() + kNonce, static_cast<int>(size)) == 1);
  Require(EVP_CIPHER_CTX_ctrl(c.get(), EVP_CTRL_GCM_SET_TAG, kTag, bytes->data() + kNonce + size) ==
          1);
  uint8_t rest[16];
  if (EVP_DecryptFinal_ex(c.get(), rest, &n) != 1) return std::nullopt;
  uint64_t expires = 0;
  for (size_t i = 0; i < kTime; ++i) expires = expires << 8 | static_cast<uint8_t>(plain[i]);
  if (static_cast<Nanos>(expires) <= now) return std::nullopt;
  return plain.substr(kTime);
}

}  // namespace sallyport::mcp
