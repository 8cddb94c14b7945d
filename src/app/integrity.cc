#include "app/integrity.h"

#include <fstream>
#include <openssl/evp.h>

#include "app/facts.h"
#include "base/bytes.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;

/// SHA-256 of a file, in hexadecimal; empty if it cannot be read whole.
std::string DigestOf(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  if (!in || !context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1) return {};
  std::string chunk(1 << 20, '\0');
  while (in) {
    in.read(chunk.data(), std::streamsize(chunk.size()));
    if (EVP_DigestUpdate(context.get(), chunk.data(), size_t(in.gcount())) != 1) return {};
  }
  if (in.bad()) return {};
  unsigned char digest[32];
  if (EVP_DigestFinal_ex(context.get(), digest, nullptr) != 1) return {};
  return HexEncode(ByteView(digest, sizeof digest));
}

/// Where the program lies that runs, also when another one has taken its place since.
fs::path ProgramPath() {
  std::error_code error;
  std::string path = fs::read_symlink("/proc/self/exe", error);
  static constexpr std::string_view kDeleted = " (deleted)";
  if (path.ends_with(kDeleted)) path.resize(path.size() - kDeleted.size());
  return path;
}

}  // namespace

Integrity::Integrity(const config::Root& root, Record record, std::function<std::string()> policy)
    : record_(std::move(record)), policy_(std::move(policy)), every_(root.integrity.every) {
  // Of what runs, whatever lies at its path by now.
  files_.push_back({"program", ProgramPath(), DigestOf("/proc/self/exe")});
  Collect(root);
}

void Integrity::Collect(const config::Root& root) {
  const auto add = [&](const char* what, const fs::path& path) {
    if (!path.empty()) files_.push_back({what, path, DigestOf(path)});
  };
  add("configuration", root.file);
  if (root.server.tls) {
    add("certificate", root.server.tls->cert);
    add("authorities of clients", root.server.tls->client_ca);
    add("authorities of clients", root.server.tls->postgres_client_ca);
  }
  for (const fs::path& path : root.integrity.files) add("file", path);
}

void Integrity::Reload(const config::Root& root) {
  const std::lock_guard lock(mutex_);
  files_.resize(1);  // the program
  Collect(root);
  every_ = root.integrity.every;
  next_ = {};
}

void Integrity::Tick(const mask::Masker& masker) {
  const auto now = std::chrono::steady_clock::now();
  std::vector<File> files;
  {
    const std::lock_guard lock(mutex_);
    if (now < next_) return;
    next_ = now + every_;
    files = files_;
  }
  nlohmann::ordered_json listed = nlohmann::ordered_json::array();
  std::string changed;
  for (const File& file : files) {
    const std::string digest = DigestOf(file.path);
    const bool same = !digest.empty() && digest == file.loaded;
    listed.push_back({{"what", file.what}, {"path", file.path.string()}, {"sha256", digest}});
    if (same) continue;
    listed.back()["loaded_sha256"] = file.loaded;
    listed.back()["changed"] = true;
    changed += (changed.empty() ? "" : ", ") + file.what + " " + file.path.string();
  }
  op::Evidence evidence;
  evidence.type = op::EventType::integrity_checked;
  evidence.ok = changed.empty();
  evidence.count = files.size();
  evidence.policy_version = policy_();
  evidence.detail = changed.empty() ? "" : "not what was loaded: " + changed;
  evidence.facts = Facts(masker, {{"files", std::move(listed)},
                                  {"detectors", std::string(mask::Masker::TableVersion())},
                                  {"version", SALLYPORT_VERSION}});
  const Result<> recorded = record_(std::move(evidence));
  const std::lock_guard lock(mutex_);
  trouble_ = changed.empty() ? "" : "not what was loaded: " + changed;
  if (!recorded) next_ = now + std::chrono::seconds(10);
}

ReadyCheck Integrity::Check() const {
  const std::lock_guard lock(mutex_);
  return {"integrity", trouble_.empty(), trouble_, /*alarm_only=*/true};
}

}  // namespace sallyport::app
