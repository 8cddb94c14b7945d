#include "app/secret_stores.h"

#include "credential/aws_secrets.h"
#include "credential/remote_secrets.h"
#include "net/fetch.h"

namespace sallyport::app {

using secrets::Ref;

SecretStores::SecretStores(const config::Root& root) {
  if (root.vault) {
    vault_ = std::make_shared<credential::VaultClient>(*root.vault, net::FetchUrl, SystemClock());
    secrets::SetStore(
        Ref::Kind::vault,
        std::make_shared<credential::RemoteSecrets>(
            root.vault->refresh, [vault = vault_](const Ref& ref, std::stop_token stop) {
              return credential::ReadFromVault(*vault, ref, std::move(stop));
            }));
  }
  if (root.aws_secrets) {
    auto aws = std::make_shared<credential::AwsSecretsClient>(*root.aws_secrets, net::FetchUrl,
                                                              SystemClock());
    secrets::SetStore(Ref::Kind::aws_secret,
                      std::make_shared<credential::RemoteSecrets>(
                          root.aws_secrets->refresh, [aws](const Ref& ref, std::stop_token stop) {
                            return aws->Read(ref, std::move(stop));
                          }));
  }
}

SecretStores::~SecretStores() {
  secrets::SetStore(Ref::Kind::vault, nullptr);
  secrets::SetStore(Ref::Kind::aws_secret, nullptr);
  if (vault_) vault_->Leave();
}

}  // namespace sallyport::app
