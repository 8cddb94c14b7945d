#include <openssl/evp.h>

#include "base/bytes.h"
#include "credential/key_home.h"
#include "credential/pkcs11.h"
#include "identity/jwk.h"
#include "identity/signer.h"
#include "json/document.h"

namespace sallyport::credential {
namespace {

class TokenKey final : public IssuerKey {
 public:
  TokenKey(std::shared_ptr<Pkcs11> token, Pkcs11::Key key)
      : token_(std::move(token)), key_(std::move(key)) {}

  Result<std::string> Sign(std::string_view claims) const override {
    std::string input = identity::SigningInput(identity::Alg::rs256, "JWT", key_.id, claims);
    SALLYPORT_TRY(const std::string signature, token_->Sign(key_.id, input));
    return input + "." + Base64UrlEncode(AsBytes(signature));
  }

  std::string PublicJwk() const override {
    return R"({"kty":"RSA","n":")" + Base64UrlEncode(AsBytes(key_.modulus)) + R"(","e":")" +
           Base64UrlEncode(AsBytes(key_.exponent)) + R"(","kid":)" + json::Quote(key_.id) +
           R"(,"use":"sig","alg":"RS256"})";
  }

  /// Whether what it signs is good to those who have what it publishes.
  Result<> Try() const {
    constexpr std::string_view kText = "sallyport";
    SALLYPORT_TRY(const std::string signature, token_->Sign(key_.id, kText));
    const std::string text = PublicJwk();
    const auto doc = json::Document::Parse(text);
    const auto read = doc ? identity::ImportJwk(doc->root(), {}) : Fail(Errc::internal);
    EVP_MD_CTX* context = EVP_MD_CTX_new();
    const bool good =
        read &&
        EVP_DigestVerifyInit(context, nullptr, EVP_sha256(), nullptr, read->pkey.get()) == 1 &&
        EVP_DigestVerify(context, AsBytes(signature).data(), signature.size(),
                         AsBytes(kText).data(), kText.size()) == 1;
    EVP_MD_CTX_free(context);
    if (good) return {};
    return Fail(Errc::config_invalid, "the token's key " + key_.id + " makes no good signatures");
  }

 private:
  const std::shared_ptr<Pkcs11> token_;
  const Pkcs11::Key key_;
};

class Token final : public KeyHome {
 public:
  explicit Token(std::shared_ptr<Pkcs11> token) : token_(std::move(token)) {}

  Result<std::vector<Held>> Read() override {
    SALLYPORT_TRY(std::vector<Pkcs11::Key> found, token_->Keys());
    std::vector<Held> keys;
    for (Pkcs11::Key& key : found) {
      if (MadeAt(key.id) == 0) continue;
      SALLYPORT_TRY(Held held, Hold(std::move(key)));
      keys.push_back(std::move(held));
    }
    return keys;
  }

  Result<Held> Make(const std::string& kid) override {
    SALLYPORT_TRY(Pkcs11::Key key, token_->Generate(kid));
    auto held = Hold(std::move(key));
    // Else each attempt would leave one more behind.
    if (!held) (void)token_->Destroy(kid);
    return held;
  }

  Result<> Destroy(const std::string& kid) override { return token_->Destroy(kid); }

 private:
  Result<Held> Hold(Pkcs11::Key key) const {
    std::string kid = key.id;
    auto held = std::make_shared<TokenKey>(token_, std::move(key));
    SALLYPORT_CHECK(held->Try());
    return Held{std::move(kid), std::move(held)};
  }

  const std::shared_ptr<Pkcs11> token_;
};

}  // namespace

Result<std::unique_ptr<KeyHome>> KeysInToken(Pkcs11Config config) {
  SALLYPORT_TRY(std::shared_ptr<Pkcs11> token, Pkcs11::Open(std::move(config)));
  return std::make_unique<Token>(std::move(token));
}

}  // namespace sallyport::credential
