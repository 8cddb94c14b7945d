#include "secrets/source.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <map>
#include <memory>
#include <mutex>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/descriptor.h"

namespace sallyport::secrets {
namespace {

constexpr size_t kMaxBytes = 64 * 1024;

constexpr std::array<std::pair<Ref::Kind, std::string_view>, 5> kKinds{{
    {Ref::Kind::env, "env"},
    {Ref::Kind::file, "file"},
    {Ref::Kind::credential, "credential"},
    {Ref::Kind::vault, "vault"},
    {Ref::Kind::aws_secret, "aws_secret"},
}};

std::atomic<std::shared_ptr<Store>>& StoreOf(Ref::Kind kind) {
  static std::atomic<std::shared_ptr<Store>> vault, aws;
  return kind == Ref::Kind::vault ? vault : aws;
}

std::unexpected<Error> SystemError(const std::string& what, int error) {
  Errc code = error == ENOENT || error == ENOTDIR ? Errc::not_found : Errc::io_failed;
  return Fail(code, what + ": " + std::strerror(error));
}

/// Wipes the plain buffer whatever the way out.
struct Scratch {
  std::array<char, kMaxBytes + 1> bytes;
  ~Scratch() { explicit_bzero(bytes.data(), bytes.size()); }
};

Result<Secret> ReadFile(const std::string& path, std::vector<std::string>* warnings) {
  const std::string what = "secret file " + path;
  // Non-blocking so that a named pipe cannot hold up the start; its kind is checked next.
  Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!file) return SystemError(what, errno);
  struct stat st{};
  if (::fstat(file.get(), &st) != 0) return SystemError(what, errno);
  if (!S_ISREG(st.st_mode)) return Fail(Errc::config_invalid, what + " is not a regular file");
  if (warnings != nullptr && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
    warnings->push_back(what + " can be read by others than its owner: chmod 0400 it");
  }

  auto scratch = std::make_unique<Scratch>();
  const auto read = ReadUpTo(file, scratch->bytes);
  if (!read) return SystemError(what, errno);
  const size_t size = *read;
  if (size > kMaxBytes) return Fail(Errc::config_invalid, what + " is larger than 64 KiB");
  std::string_view text(scratch->bytes.data(), size);
  if (text.ends_with('\n')) text.remove_suffix(text.ends_with("\r\n") ? 2 : 1);
  if (text.empty()) return Fail(Errc::config_invalid, what + " is empty");
  if (text.contains('\0')) return Fail(Errc::config_invalid, what + " holds a NUL byte");
  return Secret(std::string(text));
}

/// What was read of the environment, whose own bytes are overwritten then: whoever reads
/// /proc/<pid>/environ finds stars.
class Taken {
 public:
  Secret Take(const std::string& name, char* value) {
    const std::lock_guard lock(mutex_);
    const std::string_view text(value);
    const bool stars = text.find_first_not_of('*') == text.npos;
    const auto found = kept_.find(name);
    if (stars && found != kept_.end() && found->second.Reveal().size() == text.size())
      return found->second;
    Secret& kept = kept_[name] = Secret(std::string(text));
    std::memset(value, '*', text.size());
    return kept;
  }

 private:
  std::mutex mutex_;
  std::map<std::string, Secret> kept_;
};

Result<Secret> ReadVariable(const std::string& name) {
  static Taken taken;
  char* value = std::getenv(name.c_str());
  if (value == nullptr) {
    return Fail(Errc::not_found, "environment variable " + name + " is not set");
  }
  if (*value == '\0')
    return Fail(Errc::config_invalid, "environment variable " + name + " is empty");
  return taken.Take(name, value);
}

Result<Secret> ReadCredential(const std::string& name, std::vector<std::string>* warnings) {
  if (name.contains('/') || name == "." || name == "..") {
    return Fail(Errc::config_invalid, "credential name \"" + name + "\" must not be a path");
  }
  const char* directory = std::getenv("CREDENTIALS_DIRECTORY");
  if (directory == nullptr || *directory == '\0') {
    return Fail(Errc::not_found, "credential " + name +
                                     ": CREDENTIALS_DIRECTORY is not set; it comes from systemd's "
                                     "LoadCredential= or LoadCredentialEncrypted=");
  }
  return ReadFile(std::string(directory) + "/" + name, warnings);
}

}  // namespace

std::string_view KindName(Ref::Kind kind) {
  for (const auto& [value, name] : kKinds) {
    if (value == kind) return name;
  }
  return "none";
}

Result<Ref> ParseRef(std::string_view key, std::string_view text) {
  auto kind = std::ranges::find(kKinds, key, [](const auto& k) { return k.second; });
  if (key.empty()) {
    return Fail(Errc::config_invalid,
                "a secret must not stand in the configuration: write {env: NAME}, {file: PATH} or "
                "{credential: NAME}");
  }
  if (kind == kKinds.end()) {
    return Fail(Errc::config_invalid, "unknown kind of secret \"" + std::string(key) +
                                          "\"; known: env, file, credential, vault, aws_secret");
  }
  bool remote = kind->first == Ref::Kind::vault || kind->first == Ref::Kind::aws_secret;
  if (text.empty() && !remote) {
    return Fail(Errc::config_invalid,
                "the " + std::string(key) + " reference of a secret is empty");
  }
  if (text.contains('\0')) {
    return Fail(Errc::config_invalid, "the reference of a secret holds a NUL byte");
  }
  return Ref{kind->first, std::string(text)};
}

void SetStore(Ref::Kind kind, std::shared_ptr<Store> store) {
  StoreOf(kind).store(std::move(store));
}

std::string Describe(const Ref& ref) {
  std::string text = std::string(KindName(ref.kind)) + ' ' + ref.name;
  if (!ref.field.empty()) text += '#' + ref.field;
  return text;
}

Result<Secret> Resolve(const Ref& ref, std::vector<std::string>* warnings) {
  switch (ref.kind) {
    case Ref::Kind::env:
      return ReadVariable(ref.name);
    case Ref::Kind::file:
      return ReadFile(ref.name, warnings);
    case Ref::Kind::credential:
      return ReadCredential(ref.name, warnings);
    case Ref::Kind::vault:
    case Ref::Kind::aws_secret:
      if (const auto store = StoreOf(ref.kind).load()) return store->Read(ref);
      return Fail(Errc::config_invalid, Describe(ref) + ": its store is not open here");
    case Ref::Kind::none:
      break;
  }
  return Fail(Errc::config_invalid, "no secret is referred to");
}

}  // namespace sallyport::secrets
