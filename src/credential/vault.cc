#include "credential/vault.h"

#include "credential/encode.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

using std::chrono::seconds;

constexpr seconds kTrust{2};  // a token that is younger is not replaced because it is refused
constexpr seconds kRetry{5};  // after a renewal that failed
constexpr std::chrono::milliseconds kTimeout{5'000};

std::string Member(std::string_view name, std::string_view value) {
  return json::Quote(name) + ":" + json::Quote(value);
}

std::string NameOf(Vault::Login login) {
  switch (login) {
    case Vault::Login::jwt:
      return "jwt";
    case Vault::Login::kubernetes:
      return "kubernetes";
    case Vault::Login::approle:
      return "approle";
    case Vault::Login::token:
      break;
  }
  return "token";
}

/// What a status means that is no success.
Error Refusal(int status, std::string_view what) {
  const std::string text =
      "vault answered HTTP " + std::to_string(status) + " for " + std::string(what);
  if (status >= 300 && status < 400)
    return Error(Errc::upstream_protocol, text + ": redirects are not followed");
  const bool no = status == 400 || status == 403 || status == 404 || status == 405;
  return Error(no ? Errc::not_found : Errc::upstream_protocol, text);
}

}  // namespace

Result<FetchResponse> VaultClient::Send(std::string_view path, std::string body,
                                        const Secret* token, std::stop_token stop) const {
  FetchRequest request;
  request.url = config_.address + "/v1/" + PercentEncode(path, true);
  request.method = body.empty() ? "GET" : "POST";
  request.body = std::move(body);
  request.headers = {{"accept", "application/json"}, {"x-vault-request", "true"}};
  if (request.method == "POST") request.headers.emplace_back("content-type", "application/json");
  if (!config_.name_space.empty())
    request.headers.emplace_back("x-vault-namespace", config_.name_space);
  if (token != nullptr) request.headers.emplace_back("x-vault-token", token->Reveal());
  request.ca_file = config_.reach.ca.string();
  request.allow_addresses = config_.reach.allow_addresses;
  request.allow_loopback_http = config_.reach.allow_loopback_http;
  request.max_body = 1 << 20;
  request.timeout = kTimeout;
  request.stop = std::move(stop);
  auto answer = fetch_(request);
  explicit_bzero(request.body.data(), request.body.size());
  for (auto& [name, value] : request.headers) explicit_bzero(value.data(), value.size());
  if (!answer) return Fail(answer.error().code, "vault: " + answer.error().detail);
  return answer;
}

namespace {

/// Sets when `token` has to be renewed and when it ends.
template <class Token>
void SetLife(Token& token, seconds life, bool renewable,
             std::chrono::steady_clock::time_point now) {
  token.renewable = renewable;
  if (life.count() == 0) return;
  token.renew_at = now + life * 2 / 3;
  token.ends_at = now + life - std::min<seconds>(life / 10, seconds(10));
}

}  // namespace

Result<VaultClient::TokenPtr> VaultClient::Given(Secret text, std::stop_token stop) const {
  Token token;
  token.made_at = clock_.SteadyNow();
  // How long it lives; a policy that does not let us look leaves that open.
  SALLYPORT_TRY(auto looked, Send("auth/token/lookup-self", {}, &text, std::move(stop)));
  if (looked.status == 200) {
    const auto life = ReadVaultToken(looked.body);
    explicit_bzero(looked.body.data(), looked.body.size());
    if (!life) return Fail(Errc::upstream_protocol, "vault: " + life.error().detail);
    SetLife(token, life->life, life->renewable, token.made_at);
  } else if (looked.status != 403) {
    return std::unexpected(Refusal(looked.status, "auth/token/lookup-self"));
  }
  token.text = std::move(text);
  return std::make_shared<const Token>(std::move(token));
}

Result<VaultClient::TokenPtr> VaultClient::LogIn(std::stop_token stop) {
  auto proof = secrets::Resolve(config_.proof);
  if (!proof) return Fail(Errc::upstream_credential_failed, "vault: " + proof.error().detail);
  if (config_.login == Vault::Login::token) return Given(std::move(*proof), std::move(stop));
  const bool approle = config_.login == Vault::Login::approle;
  std::string body =
      "{" +
      (approle ? Member("role_id", config_.role_id) + "," + Member("secret_id", proof->Reveal())
               : Member("role", config_.role) + "," + Member("jwt", proof->Reveal())) +
      "}";
  const std::string path = "auth/" + config_.mount + "/login";
  SALLYPORT_TRY(auto answer, Send(path, std::move(body), nullptr, std::move(stop)));
  if (answer.status != 200) {
    return Fail(Errc::upstream_credential_failed,
                "vault answered HTTP " + std::to_string(answer.status) + " to the login (" +
                    NameOf(config_.login) + ")");
  }
  auto read = ReadVaultToken(answer.body);
  explicit_bzero(answer.body.data(), answer.body.size());
  if (!read || read->token.empty())
    return Fail(Errc::upstream_protocol, "vault answered the login with something else");
  Token token;
  token.own = true;
  token.made_at = clock_.SteadyNow();
  SetLife(token, read->life, read->renewable, token.made_at);
  token.text = std::move(read->token);
  return std::make_shared<const Token>(std::move(token));
}

/// The token with its new end; null: Vault does not renew it now.
VaultClient::TokenPtr VaultClient::Renewed(const Token& token, std::stop_token stop) const {
  auto answer = Send("auth/token/renew-self", "{}", &token.text, std::move(stop));
  if (!answer || answer->status != 200) return nullptr;
  auto read = ReadVaultToken(answer->body);
  explicit_bzero(answer->body.data(), answer->body.size());
  if (!read) return nullptr;
  Token next = token;
  next.renew_at = next.ends_at = Steady::max();
  SetLife(next, read->life, read->renewable, clock_.SteadyNow());
  return std::make_shared<const Token>(std::move(next));
}

Result<VaultClient::TokenPtr> VaultClient::Usable(std::stop_token stop) {
  const Steady now = clock_.SteadyNow();
  if (token_ && now >= token_->renew_at && now < token_->ends_at) {
    TokenPtr next;
    if (token_->renewable) next = Renewed(*token_, stop);
    if (!next) {
      Token later = *token_;
      later.renew_at = now + kRetry;
      next = std::make_shared<const Token>(std::move(later));
    }
    token_ = std::move(next);
  }
  if (token_ && now < token_->ends_at) return token_;
  SALLYPORT_TRY(token_, LogIn(std::move(stop)));
  return token_;
}

/// Whether Vault still knows the token: then what was refused is refused for good. A new token in
/// its place would leave the leases of this one to end with it.
bool VaultClient::Holds(const Token& token, std::stop_token stop) const {
  const auto looked = Send("auth/token/lookup-self", {}, &token.text, std::move(stop));
  return !looked || looked->status != 403;
}

/// A token other than `refused`, or that one where there is no point in another.
Result<VaultClient::TokenPtr> VaultClient::TokenFor(const TokenPtr& refused, std::stop_token stop) {
  const std::lock_guard lock(busy_);
  if (refused && token_ == refused && clock_.SteadyNow() - refused->made_at >= kTrust)
    token_ = nullptr;
  return Usable(std::move(stop));
}

Result<std::string> VaultClient::Ask(std::string_view path, std::string body,
                                     std::stop_token stop) {
  TokenPtr used;
  for (int attempt = 0;; ++attempt) {
    SALLYPORT_TRY(const TokenPtr token, TokenFor(used, stop));
    SALLYPORT_TRY(auto answer, Send(path, body, &token->text, stop));
    if (answer.status >= 200 && answer.status < 300) return std::move(answer.body);
    if (answer.status == 403 && attempt == 0 && !Holds(*token, stop)) {
      used = token;
      continue;
    }
    return std::unexpected(Refusal(answer.status, path));
  }
}

void VaultClient::Leave() {
  const std::lock_guard lock(busy_);
  if (token_ && token_->own) (void)Send("auth/token/revoke-self", "{}", &token_->text, {});
  token_ = nullptr;
}

Result<SecretMembers> ReadFromVault(VaultClient& vault, const secrets::Ref& ref,
                                    std::stop_token stop) {
  SALLYPORT_TRY(std::string answer, vault.Ask(ref.name, {}, std::move(stop)));
  auto read = ReadVaultSecret(answer);
  explicit_bzero(answer.data(), answer.size());
  if (!read) return Fail(read.error().code, "vault " + ref.name + ": " + read.error().detail);
  return read;
}

}  // namespace sallyport::credential
