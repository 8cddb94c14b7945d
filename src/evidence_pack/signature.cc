#include "evidence_pack/signature.h"

#include <memory>
#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include "base/bytes.h"
#include "evidence_pack/digest.h"

namespace sallyport::evidence_pack {
namespace {

using KeyPtr = std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)>;
using BioPtr = std::unique_ptr<BIO, decltype(&BIO_free)>;
using BnPtr = std::unique_ptr<BIGNUM, decltype(&BN_clear_free)>;

BnPtr Bn() { return {BN_secure_new(), BN_clear_free}; }
BnPtr Bn(std::string_view bytes) {
  return {BN_bin2bn(reinterpret_cast<const uint8_t*>(bytes.data()), int(bytes.size()), nullptr),
          BN_clear_free};
}

std::string Bytes32(const BIGNUM* n) {
  std::string out(32, '\0');
  BN_bn2binpad(n, reinterpret_cast<uint8_t*>(out.data()), 32);
  return out;
}

std::string Text(BIO* bio) {
  char* data = nullptr;
  const long size = BIO_get_mem_data(bio, &data);
  return std::string(data, size_t(size));
}

bool OnP256(EVP_PKEY* key) {
  char group[32] = {};
  return EVP_PKEY_is_a(key, "EC") == 1 &&
         EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) == 1 &&
         (std::string_view(group) == "prime256v1" || std::string_view(group) == "P-256");
}

std::string Hmac(const std::string& key, const std::string& message) {
  std::string out(32, '\0');
  HMAC(EVP_sha256(), key.data(), int(key.size()), reinterpret_cast<const uint8_t*>(message.data()),
       message.size(), reinterpret_cast<uint8_t*>(out.data()), nullptr);
  return out;
}

/// RFC 6979 section 3.2, for a group whose order has as many bits as the hash.
class Nonces {
 public:
  Nonces(const std::string& x, const std::string& h) : v_(32, '\x01'), k_(32, '\0') {
    for (const char step : {'\x00', '\x01'}) {
      k_ = Hmac(k_, v_ + step + x + h);
      v_ = Hmac(k_, v_);
    }
  }
  std::string Next() {
    if (!first_) {
      k_ = Hmac(k_, v_ + '\0');
      v_ = Hmac(k_, v_);
    }
    first_ = false;
    return v_ = Hmac(k_, v_);
  }

 private:
  std::string v_, k_;
  bool first_ = true;
};

/// The DER of one attempt; empty where this nonce cannot be used.
std::string SignWith(const BIGNUM* k, const BIGNUM* d, const BIGNUM* e, const EC_GROUP* group,
                     BN_CTX* context) {
  const BIGNUM* const n = EC_GROUP_get0_order(group);
  if (BN_is_zero(k) || BN_cmp(k, n) >= 0) return {};
  const std::unique_ptr<EC_POINT, decltype(&EC_POINT_clear_free)> point(EC_POINT_new(group),
                                                                        EC_POINT_clear_free);
  const BnPtr x = Bn(), s = Bn(), inverse = Bn();
  BN_set_flags(inverse.get(), BN_FLG_CONSTTIME);
  std::unique_ptr<ECDSA_SIG, decltype(&ECDSA_SIG_free)> signature(ECDSA_SIG_new(), ECDSA_SIG_free);
  BnPtr r = Bn();
  if (!point || !x || !s || !inverse || !signature || !r ||
      EC_POINT_mul(group, point.get(), k, nullptr, nullptr, context) != 1 ||
      EC_POINT_get_affine_coordinates(group, point.get(), x.get(), nullptr, context) != 1 ||
      BN_nnmod(r.get(), x.get(), n, context) != 1 || BN_is_zero(r.get()) ||
      BN_mod_inverse(inverse.get(), k, n, context) == nullptr ||
      BN_mod_mul(s.get(), r.get(), d, n, context) != 1 ||
      BN_mod_add(s.get(), s.get(), e, n, context) != 1 ||
      BN_mod_mul(s.get(), s.get(), inverse.get(), n, context) != 1 || BN_is_zero(s.get()))
    return {};
  ECDSA_SIG_set0(signature.get(), BN_dup(r.get()), BN_dup(s.get()));
  uint8_t* der = nullptr;
  const int size = i2d_ECDSA_SIG(signature.get(), &der);
  std::string out(reinterpret_cast<char*>(der), size > 0 ? size_t(size) : 0);
  OPENSSL_free(der);
  return out;
}

KeyPtr PublicKey(const std::string& pem) {
  const BioPtr bio(BIO_new_mem_buf(pem.data(), int(pem.size())), BIO_free);
  KeyPtr key(PEM_read_bio_PUBKEY(bio.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  if (key && !OnP256(key.get())) key.reset();
  return key;
}

}  // namespace

Secret PackKey::NewPem() {
  const KeyPtr key(EVP_PKEY_Q_keygen(nullptr, nullptr, "EC", "P-256"), EVP_PKEY_free);
  const BioPtr bio(BIO_new(BIO_s_mem()), BIO_free);
  if (!key || !bio ||
      PEM_write_bio_PrivateKey(bio.get(), key.get(), nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return {};
  return Secret(Text(bio.get()));
}

Result<PackKey> PackKey::FromPem(const Secret& pem) {
  const std::string_view text = pem.Reveal();
  const BioPtr in(BIO_new_mem_buf(text.data(), int(text.size())), BIO_free);
  const KeyPtr key(PEM_read_bio_PrivateKey(in.get(), nullptr, nullptr, nullptr), EVP_PKEY_free);
  BIGNUM* scalar = nullptr;
  if (!key || !OnP256(key.get()) ||
      EVP_PKEY_get_bn_param(key.get(), OSSL_PKEY_PARAM_PRIV_KEY, &scalar) != 1)
    return Fail(Errc::config_invalid, "no private key on P-256 (PEM)");
  const BnPtr owned(scalar, BN_clear_free);
  const BioPtr out(BIO_new(BIO_s_mem()), BIO_free);
  if (PEM_write_bio_PUBKEY(out.get(), key.get()) != 1)
    return Fail(Errc::config_invalid, "a private key without its public half");
  PackKey result;
  result.scalar_ = Secret(Bytes32(scalar));
  result.public_pem_ = Text(out.get());
  return result;
}

Result<std::string> PackKey::Sign(std::string_view message) const {
  const std::unique_ptr<EC_GROUP, decltype(&EC_GROUP_free)> group(
      EC_GROUP_new_by_curve_name(NID_X9_62_prime256v1), EC_GROUP_free);
  const std::unique_ptr<BN_CTX, decltype(&BN_CTX_free)> context(BN_CTX_secure_new(), BN_CTX_free);
  Digest digest;
  digest.Add(message);
  const BnPtr e = Bn(digest.Bytes()), d = Bn(scalar_.Reveal());
  if (!group || !context || !e || !d ||
      BN_nnmod(e.get(), e.get(), EC_GROUP_get0_order(group.get()), context.get()) != 1)
    return Fail(Errc::internal, "the pack cannot be signed");
  BN_set_flags(d.get(), BN_FLG_CONSTTIME);
  Nonces nonces(std::string(scalar_.Reveal()), Bytes32(e.get()));
  for (int i = 0; i < 64; ++i) {
    const BnPtr k = Bn(nonces.Next());
    BN_set_flags(k.get(), BN_FLG_CONSTTIME);
    std::string der = SignWith(k.get(), d.get(), e.get(), group.get(), context.get());
    if (!der.empty()) return der;
  }
  return Fail(Errc::internal, "the pack cannot be signed");
}

bool VerifyPackSignature(const std::string& public_pem, std::string_view message,
                         std::string_view signature) {
  const KeyPtr key = PublicKey(public_pem);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  return key && context &&
         EVP_DigestVerifyInit(context.get(), nullptr, EVP_sha256(), nullptr, key.get()) == 1 &&
         EVP_DigestVerify(context.get(), reinterpret_cast<const uint8_t*>(signature.data()),
                          signature.size(), reinterpret_cast<const uint8_t*>(message.data()),
                          message.size()) == 1;
}

std::string Fingerprint(const std::string& public_pem) {
  const KeyPtr key = PublicKey(public_pem);
  if (!key) return {};
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(key.get(), &der);
  if (size <= 0) return {};
  Digest digest;
  digest.Add(std::string_view(reinterpret_cast<char*>(der), size_t(size)));
  OPENSSL_free(der);
  return "SHA256:" + Base64Encode(AsBytes(digest.Bytes()));
}

}  // namespace sallyport::evidence_pack
