#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "credential/key_home.h"
#include "identity/signer.h"
#include "secrets/source.h"

namespace sallyport::credential {
namespace {

namespace fs = std::filesystem;

/// Whole or not at all, readable by the owner alone.
Result<> WriteKey(const fs::path& file, const Secret& pem) {
  const std::string temporary = file.string() + ".new";
  ::unlink(temporary.c_str());
  const Descriptor out(::open(temporary.c_str(), O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0600));
  const std::string_view text = pem.Reveal();
  const bool good = out && ::write(out.get(), text.data(), text.size()) == ssize_t(text.size()) &&
                    ::fsync(out.get()) == 0 && ::rename(temporary.c_str(), file.c_str()) == 0;
  if (good) return {};
  return Fail(Errc::io_failed, "cannot write " + file.string() + ": " + std::strerror(errno));
}

class FileKey final : public IssuerKey {
 public:
  explicit FileKey(identity::Signer signer) : signer_(std::move(signer)) {}
  Result<std::string> Sign(std::string_view claims) const override {
    return signer_.Sign(claims, "JWT");
  }
  std::string PublicJwk() const override { return signer_.PublicJwk(); }

 private:
  const identity::Signer signer_;
};

class Files final : public KeyHome {
 public:
  explicit Files(fs::path directory) : directory_(std::move(directory)) {}

  Result<std::vector<Held>> Read() override {
    std::error_code error;
    fs::create_directories(directory_, error);
    fs::permissions(directory_, fs::perms::owner_all, error);
    std::vector<Held> keys;
    for (const auto& entry : fs::directory_iterator(directory_, error)) {
      const fs::path& file = entry.path();
      const std::string kid = file.stem().string();
      if (file.extension() != ".pem" || MadeAt(kid) == 0) continue;
      SALLYPORT_TRY(const Secret pem, secrets::Resolve({secrets::Ref::Kind::file, file.string()}));
      auto signer = identity::Signer::FromPem(pem.Reveal(), identity::Alg::rs256, kid);
      if (!signer) return Fail(Errc::config_invalid, file.string() + ": " + signer.error().detail);
      keys.push_back({kid, std::make_shared<FileKey>(std::move(*signer))});
    }
    if (error) return Fail(Errc::io_failed, directory_.string() + ": " + error.message());
    return keys;
  }

  Result<Held> Make(const std::string& kid) override {
    SALLYPORT_TRY(identity::Signer signer, identity::Signer::Generate(identity::Alg::rs256, kid));
    SALLYPORT_TRY(const Secret pem, signer.PrivatePem());
    SALLYPORT_CHECK(WriteKey(FileOf(kid), pem));
    return Held{kid, std::make_shared<FileKey>(std::move(signer))};
  }

  Result<> Destroy(const std::string& kid) override {
    std::error_code error;
    fs::remove(FileOf(kid), error);
    if (error) return Fail(Errc::io_failed, FileOf(kid).string() + ": " + error.message());
    return {};
  }

 private:
  fs::path FileOf(const std::string& kid) const { return directory_ / (kid + ".pem"); }
  const fs::path directory_;
};

}  // namespace

std::unique_ptr<KeyHome> KeysInFiles(fs::path directory) {
  return std::make_unique<Files>(std::move(directory));
}

}  // namespace sallyport::credential
