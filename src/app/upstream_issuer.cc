#include "app/upstream_issuer.h"

#include <algorithm>
#include <filesystem>

#include "app/upstreams.h"
#include "obs/log.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;

Result<std::unique_ptr<credential::KeyHome>> HomeOf(const config::Root& root) {
  const fs::path files = root.server.data_dir / "state/issuer";
  if (!root.issuer_pkcs11) return credential::KeysInFiles(files);
  std::error_code error;
  if (!fs::is_empty(files, error) && !error) {
    obs::Log(obs::Level::warn, "credential.issuer_keys",
             {{"detail", "keys from before the token are still in " + files.string()}});
  }
  return credential::KeysInToken(*root.issuer_pkcs11);
}

Result<std::shared_ptr<credential::IssuerKeys>> OpenKeys(const config::Root& root) {
  SALLYPORT_TRY(std::unique_ptr<credential::KeyHome> home, HomeOf(root));
  return credential::IssuerKeys::Open(std::move(home), SystemClock());
}

}  // namespace

std::string OriginOf(const config::Root& root) {
  std::string url = root.server.public_url;
  while (url.ends_with('/')) url.pop_back();
  return url;
}

Result<std::unique_ptr<UpstreamIssuer>> UpstreamIssuer::Open(const config::Root& root) {
  auto made = std::make_unique<UpstreamIssuer>();
  made->url_ = OriginOf(root);
  if (!WantsGateTokens(root)) return made;
  auto keys = OpenKeys(root);
  if (!keys) {
    const std::string where = root.issuer_pkcs11 ? "issuer_keys.pkcs11: " : "";
    return Fail(keys.error().code, where + keys.error().detail);
  }
  made->keys_ = std::move(*keys);
  made->jobs_ = std::make_unique<credential::Jobs>(1);
  return made;
}

void UpstreamIssuer::Tick() {
  if (!keys_ || !keys_->Due() || busy_.exchange(true)) return;
  jobs_->At(credential::Jobs::Steady::min(), [this](std::stop_token) {
    if (const auto kept = keys_->Tick(); !kept)
      obs::Log(obs::Level::error, "credential.issuer_keys", {{"detail", kept.error().detail}});
    busy_ = false;
  });
}

}  // namespace sallyport::app
