#include "identity/signer.h"

#include <array>
#include <openssl/core_names.h>
#include <openssl/ecdsa.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "identity/ossl.h"
#include "json/document.h"

namespace sallyport::identity {
namespace {

using Bytes = std::vector<uint8_t>;
using Bio = Owned<BIO, BIO_free_all>;

size_t CoordinateWidth(Alg alg) { return alg == Alg::es384 ? 48 : 32; }
bool IsEc(Alg alg) { return alg == Alg::es256 || alg == Alg::es384; }

Bytes Number(EVP_PKEY* pkey, const char* name, size_t width) {
  BIGNUM* raw = nullptr;
  if (EVP_PKEY_get_bn_param(pkey, name, &raw) != 1) return {};
  BigNum number(raw);
  Bytes out(width != 0 ? width : size_t(BN_num_bytes(raw)));
  BN_bn2binpad(raw, out.data(), int(out.size()));
  return out;
}

std::string HeaderOf(Alg alg, std::string_view typ, std::string_view kid) {
  return R"({"alg":")" + std::string(AlgName(alg)) + R"(","typ":)" + json::Quote(typ) +
         R"(,"kid":)" + json::Quote(kid) + "}";
}

bool Fits(EVP_PKEY* pkey, Alg alg) {
  if (alg == Alg::eddsa) return EVP_PKEY_is_a(pkey, "ED25519") == 1;
  if (!IsEc(alg)) return EVP_PKEY_is_a(pkey, "RSA") == 1 && EVP_PKEY_get_bits(pkey) >= 2048;
  return EVP_PKEY_is_a(pkey, "EC") == 1 && EVP_PKEY_get_bits(pkey) == int(CoordinateWidth(alg) * 8);
}

/// DER to the fixed-width r||s of RFC 7518 section 3.4.
Bytes EcdsaFromDer(const Bytes& der, size_t width) {
  const uint8_t* in = der.data();
  EcdsaSig sig(d2i_ECDSA_SIG(nullptr, &in, long(der.size())));
  Bytes out(2 * width);
  if (!sig || BN_bn2binpad(ECDSA_SIG_get0_r(sig.get()), out.data(), int(width)) < 0 ||
      BN_bn2binpad(ECDSA_SIG_get0_s(sig.get()), out.data() + width, int(width)) < 0) {
    return {};
  }
  return out;
}

}  // namespace

Signer::Signer(std::shared_ptr<EVP_PKEY> pkey, Alg alg, std::string kid)
    : pkey_(std::move(pkey)), alg_(alg), kid_(std::move(kid)) {}

Result<Signer> Signer::Generate(Alg alg, std::string kid) {
  EVP_PKEY* pkey = alg == Alg::eddsa   ? EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519")
                   : alg == Alg::es256 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256")
                   : alg == Alg::es384 ? EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-384")
                                       : EVP_PKEY_Q_keygen(nullptr, nullptr, "RSA", size_t(2048));
  if (pkey == nullptr) return Fail(Errc::internal, "OpenSSL cannot make a signing key");
  return Signer({pkey, EVP_PKEY_free}, alg, std::move(kid));
}

Result<Signer> Signer::FromPem(std::string_view pem, Alg alg, std::string kid) {
  Bio bio(BIO_new_mem_buf(pem.data(), int(pem.size())));
  // Without a callback OpenSSL would ask for a passphrase on the terminal.
  auto no_passphrase = [](char*, int, int, void*) { return -1; };
  EVP_PKEY* pkey = PEM_read_bio_PrivateKey(bio.get(), nullptr, no_passphrase, nullptr);
  if (pkey == nullptr)
    return Fail(Errc::config_invalid, "it is not an unencrypted PEM private key");
  Signer signer({pkey, EVP_PKEY_free}, alg, std::move(kid));
  if (!Fits(pkey, alg)) {
    return Fail(Errc::config_invalid,
                "the private key is not one for " + std::string(AlgName(alg)));
  }
  return signer;
}

Result<std::string> Signer::Sign(std::string_view claims, std::string_view typ) const {
  return SignWithHeader(HeaderOf(alg_, typ, kid_), claims);
}

Result<std::string> Signer::SignWithHeader(std::string_view header, std::string_view claims) const {
  std::string input = Base64UrlEncode(AsBytes(header)) + "." + Base64UrlEncode(AsBytes(claims));
  const EVP_MD* digest = alg_ == Alg::eddsa   ? nullptr
                         : alg_ == Alg::es384 ? EVP_sha384()
                                              : EVP_sha256();
  MdCtx ctx(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;
  bool ok = EVP_DigestSignInit(ctx.get(), &options, digest, nullptr, pkey_.get()) == 1;
  if (ok && alg_ == Alg::ps256) {
    ok = EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) == 1 &&
         EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) == 1;
  }
  ByteView bytes = AsBytes(input);
  size_t size = 0;
  ok = ok && EVP_DigestSign(ctx.get(), nullptr, &size, bytes.data(), bytes.size()) == 1;
  Bytes signature(size);
  ok = ok && EVP_DigestSign(ctx.get(), signature.data(), &size, bytes.data(), bytes.size()) == 1;
  if (!ok) return Fail(Errc::internal, "OpenSSL cannot sign");
  signature.resize(size);
  if (IsEc(alg_)) signature = EcdsaFromDer(signature, CoordinateWidth(alg_));
  if (signature.empty()) return Fail(Errc::internal, "OpenSSL made no signature");
  return input + "." + Base64UrlEncode(signature);
}

std::string Signer::PublicJwk() const {
  std::string out;
  if (alg_ == Alg::eddsa) {
    std::array<uint8_t, 32> raw;
    size_t size = raw.size();
    EVP_PKEY_get_raw_public_key(pkey_.get(), raw.data(), &size);
    out = R"({"kty":"OKP","crv":"Ed25519","x":")" + Base64UrlEncode(raw) + "\"";
  } else if (IsEc(alg_)) {
    size_t width = CoordinateWidth(alg_);
    out = std::string(R"({"kty":"EC","crv":")") + (width == 48 ? "P-384" : "P-256") + R"(","x":")" +
          Base64UrlEncode(Number(pkey_.get(), OSSL_PKEY_PARAM_EC_PUB_X, width)) + R"(","y":")" +
          Base64UrlEncode(Number(pkey_.get(), OSSL_PKEY_PARAM_EC_PUB_Y, width)) + "\"";
  } else {
    out = R"({"kty":"RSA","n":")" + Base64UrlEncode(Number(pkey_.get(), OSSL_PKEY_PARAM_RSA_N, 0)) +
          R"(","e":")" + Base64UrlEncode(Number(pkey_.get(), OSSL_PKEY_PARAM_RSA_E, 0)) + "\"";
  }
  return out + R"(,"kid":)" + json::Quote(kid_) + R"(,"use":"sig","alg":")" +
         std::string(AlgName(alg_)) + "\"}";
}

Result<Secret> Signer::PrivatePem() const {
  Bio bio(BIO_new(BIO_s_secmem()));
  if (PEM_write_bio_PKCS8PrivateKey(bio.get(), pkey_.get(), nullptr, nullptr, 0, nullptr,
                                    nullptr) != 1) {
    return Fail(Errc::internal, "OpenSSL cannot write the private key");
  }
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  return Secret(std::string(data, size_t(size)));
}

std::string SigningInput(Alg alg, std::string_view typ, std::string_view kid,
                         std::string_view claims) {
  return Base64UrlEncode(AsBytes(HeaderOf(alg, typ, kid))) + "." + Base64UrlEncode(AsBytes(claims));
}

std::string Jwks(std::initializer_list<std::string> jwks) {
  std::string out = R"({"keys":[)";
  for (const auto& jwk : jwks) out.append(out.back() == '[' ? "" : ",").append(jwk);
  return out + "]}";
}

}  // namespace sallyport::identity
