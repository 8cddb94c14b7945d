#include <algorithm>

#include "config/aws_keys.h"
#include "config/sections.h"

namespace sallyport::config {
namespace {

using std::chrono::seconds;

constexpr const char* kServiceAccount = "/var/run/secrets/kubernetes.io/serviceaccount/token";

seconds ReadRefresh(Fields& fields, seconds otherwise) {
  const auto said = fields.Duration("refresh", seconds(1), seconds(3600));
  return said ? std::chrono::duration_cast<seconds>(*said) : otherwise;
}

void CheckMount(Fields& fields, std::string_view key, const std::string& mount) {
  CheckWord(fields, key, mount, "-_./", "write the mount's path, such as jwt or kv/team");
}

void ReadLogin(Context& context, const Node& node, const std::string& where,
               credential::Vault& vault) {
  using Login = credential::Vault::Login;
  constexpr std::string_view kHint =
      "write { token: REF }, { jwt: { role: …, token: REF } }, { kubernetes: { role: … } } or "
      "{ approle: { role_id: …, secret_id: REF } }";
  Fields fields(context, node, where);
  int kinds = 0;
  if (fields.Get("token") != nullptr) {
    ++kinds;
    vault.proof = fields.Secret("token").value_or(secrets::Ref{});
  }
  struct Kind {
    const char* key;
    Login login;
  };
  for (const auto& [key, login] : {Kind{"jwt", Login::jwt}, Kind{"kubernetes", Login::kubernetes},
                                   Kind{"approle", Login::approle}}) {
    const Node* kind = fields.Get(key);
    if (kind == nullptr) continue;
    ++kinds;
    vault.login = login;
    Fields f(context, *kind, where + "." + key);
    vault.mount = f.Text("mount").value_or(key);
    CheckMount(f, "mount", vault.mount);
    if (login == Login::approle) {
      vault.role_id = f.RequiredText("role_id", "write the AppRole's role_id");
      f.Require("secret_id", "write secret_id: { file: PATH }");
      vault.proof = f.Secret("secret_id").value_or(secrets::Ref{});
    } else {
      vault.role = f.RequiredText("role", "write the role of the auth method");
      if (login == Login::jwt) f.Require("token", "write token: { file: PATH }");
      vault.proof = f.Secret("token").value_or(
          login == Login::kubernetes ? secrets::Ref{secrets::Ref::Kind::file, kServiceAccount}
                                     : secrets::Ref{});
    }
    f.Done();
  }
  if (kinds != 1) {
    context.Error(node.mark, kinds == 0 ? kCfgMissingKey : kCfgConflict,
                  where + " needs exactly one way to log in", std::string(kHint));
  }
  fields.Done();
}

credential::Vault ReadVault(Context& context, const Node& node) {
  credential::Vault vault;
  Fields fields(context, node, "vault");
  vault.address = fields.RequiredText("address", "write https://HOST:8200");
  CheckUrl(fields, "address", vault.address, false);
  while (vault.address.ends_with('/')) vault.address.pop_back();
  vault.name_space = fields.Text("namespace").value_or("");
  CheckWord(fields, "namespace", vault.name_space, "-_./", "write the namespace's path");
  if (const Node* auth = fields.Require("auth", "write auth: { kubernetes: { role: … } }"))
    ReadLogin(context, *auth, "vault.auth", vault);
  vault.refresh = ReadRefresh(fields, vault.refresh);
  vault.reach = ReadReach(fields);
  fields.Done();
  return vault;
}

credential::AwsSecrets ReadAwsSecrets(Context& context, const Node& node) {
  credential::AwsSecrets aws;
  Fields fields(context, node, "aws_secrets");
  aws.region = fields.RequiredText("region", "write eu-central-1 or the like");
  CheckWord(fields, "region", aws.region, "-", "write eu-central-1 or the like");
  if (const auto url = fields.Text("url")) aws.url = *url;
  CheckUrl(fields, "url", aws.url, false);
  if (const Node* keys = fields.Get("credentials"))
    aws.keys = ReadAwsKeys(context, *keys, "aws_secrets.credentials");
  aws.refresh = ReadRefresh(fields, aws.refresh);
  aws.reach = ReadReach(fields);
  fields.Done();
  return aws;
}

}  // namespace

void ReadStores(Context& context, const Node* vault, const Node* aws_secrets, Root& root) {
  const size_t others = context.remote.size();
  if (vault != nullptr) root.vault = ReadVault(context, *vault);
  if (aws_secrets != nullptr) root.aws_secrets = ReadAwsSecrets(context, *aws_secrets);
  for (size_t i = 0; i < context.remote.size(); ++i) {
    const auto& [mark, where, kind] = context.remote[i];
    const bool at_vault = kind == secrets::Ref::Kind::vault;
    if (i >= others) {
      context.Error(mark, kCfgConflict, where + ": what opens a store cannot lie in one",
                    "write { env: NAME }, { file: PATH } or { credential: NAME }");
    } else if (at_vault ? vault == nullptr : aws_secrets == nullptr) {
      context.Error(mark, kCfgMissingKey,
                    where + " needs the section " + (at_vault ? "vault" : "aws_secrets"),
                    at_vault ? "add vault: { address: https://HOST:8200, auth: … }"
                             : "add aws_secrets: { region: … }");
    }
  }
}

}  // namespace sallyport::config
