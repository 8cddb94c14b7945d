#include "app/keys.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <fstream>
#include <iterator>
#include <memory>
#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <system_error>
#include <unistd.h>

#include "base/ids.h"
#include "evidence_pack/signature.h"
#include "saml/signer.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;

Result<Secret> Existing(const fs::path& file) {
  std::ifstream in(file, std::ios::binary);
  std::string text{std::istreambuf_iterator<char>(in), {}};
  if (!in.is_open() || text.empty()) return Fail(Errc::io_failed, "cannot read " + file.string());
  while (!text.empty() && text.back() == '\n') text.pop_back();
  return Secret(std::move(text));
}

std::string NewSigningKey() {
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_PKEY_free);
  const std::unique_ptr<BIO, decltype(&BIO_free)> bio(BIO_new(BIO_s_mem()), BIO_free);
  if (!key || !bio ||
      PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return {};
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio.get(), &data);
  return std::string(data, static_cast<size_t>(size));
}

}  // namespace

Result<> WritePrivate(const fs::path& file, std::string_view text) {
  std::error_code error;
  fs::create_directories(file.parent_path(), error);
  const fs::path temporary = file.string() + "." + NewHandle(6);
  const int fd = open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600);
  bool good = fd >= 0;
  good = good && write(fd, text.data(), text.size()) == static_cast<ssize_t>(text.size());
  good = good && fsync(fd) == 0;
  const int why = errno;
  if (fd >= 0) close(fd);
  if (good) fs::rename(temporary, file, error);
  if (!good || error) {
    fs::remove(temporary, error);
    return Fail(Errc::io_failed, "cannot write " + file.string() + ": " + std::strerror(why));
  }
  return {};
}

Result<Secret> KeyFile(const fs::path& file) {
  if (!fs::exists(file)) SALLYPORT_CHECK(WritePrivate(file, NewHandle(32) + "\n"));
  return Existing(file);
}

Result<Secret> SigningKeyFile(const fs::path& file) {
  if (!fs::exists(file)) SALLYPORT_CHECK(WritePrivate(file, NewSigningKey()));
  return Existing(file);
}

Result<Secret> SamlKeyFile(const fs::path& file) {
  if (!fs::exists(file)) SALLYPORT_CHECK(WritePrivate(file, saml::Signer::NewPem()));
  return Existing(file);
}

Result<Secret> PackKeyFile(const fs::path& file) {
  if (!fs::exists(file))
    SALLYPORT_CHECK(WritePrivate(file, evidence_pack::PackKey::NewPem().Reveal()));
  return Existing(file);
}

}  // namespace sallyport::app
