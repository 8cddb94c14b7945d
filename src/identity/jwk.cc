#include "identity/jwk.h"

#include <algorithm>
#include <array>
#include <new>
#include <openssl/core_names.h>
#include <set>
#include <utility>

#include "base/bytes.h"
#include "identity/ossl.h"

namespace sallyport::identity {
namespace {

using Bytes = std::vector<uint8_t>;

std::unexpected<Error> Bad(std::string why) {
  return Fail(Errc::request_malformed, std::move(why));
}

struct Curve {
  std::string_view crv;
  const char* group;
  size_t width;
  Alg alg;
};
constexpr std::array<Curve, 2> kCurves{{
    {"P-256", "prime256v1", 32, Alg::es256},
    {"P-384", "secp384r1", 48, Alg::es384},
}};

std::string Thumbprint(std::string_view canonical) {
  std::array<uint8_t, 32> digest;
  if (EVP_Digest(canonical.data(), canonical.size(), digest.data(), nullptr, EVP_sha256(),
                 nullptr) != 1) {
    throw std::bad_alloc();  // SHA-256 fails for nothing else
  }
  return Base64UrlEncode(digest);
}

/// A member that has to be text if it is there at all: absent is "".
Result<std::string_view> Text(json::Value jwk, std::string_view name) {
  json::Value v = jwk[name];
  if (!v) return std::string_view();
  if (auto s = v.string()) return *s;
  return Bad(std::string(name) + " is not a string");
}

Result<Bytes> Binary(json::Value jwk, std::string_view name) {
  auto text = jwk[name].string();
  if (!text || text->empty()) return Bad(std::string(name) + " is missing");
  auto bytes = Base64UrlDecode(*text);
  if (!bytes) return Bad(std::string(name) + " is not base64url");
  return std::move(*bytes);
}

Result<std::shared_ptr<EVP_PKEY>> FromParams(const char* type, OSSL_PARAM_BLD* builder) {
  Params params(OSSL_PARAM_BLD_to_param(builder));
  PkeyCtx ctx(EVP_PKEY_CTX_new_from_name(nullptr, type, nullptr));
  EVP_PKEY* pkey = nullptr;
  if (!params || !ctx || EVP_PKEY_fromdata_init(ctx.get()) != 1 ||
      EVP_PKEY_fromdata(ctx.get(), &pkey, EVP_PKEY_PUBLIC_KEY, params.get()) != 1) {
    return Bad("OpenSSL does not accept the key");
  }
  return std::shared_ptr<EVP_PKEY>(pkey, EVP_PKEY_free);
}

Result<Key> ImportRsa(json::Value jwk, std::string_view alg, const ImportRules& rules) {
  Key key;
  key.alg = rules.rsa_default;
  if (!alg.empty()) {
    auto named = ParseAlg(alg);
    if (!named || (*named != Alg::rs256 && *named != Alg::ps256)) {
      return Bad("alg does not fit an RSA key or is not supported");
    }
    key.alg = *named;
  }
  SALLYPORT_TRY(Bytes n, Binary(jwk, "n"));
  SALLYPORT_TRY(Bytes e, Binary(jwk, "e"));
  if (n.size() > 1025 || e.size() > 5) return Bad("RSA modulus or exponent is too long");
  BigNum modulus(BN_bin2bn(n.data(), int(n.size()), nullptr));
  BigNum exponent(BN_bin2bn(e.data(), int(e.size()), nullptr));
  if (!modulus || !exponent) throw std::bad_alloc();
  int bits = BN_num_bits(modulus.get());
  if (bits < 2048 || bits > 8192) return Bad("RSA modulus has " + std::to_string(bits) + " bits");
  if (!BN_is_odd(modulus.get())) return Bad("RSA modulus is even");
  if (!BN_is_odd(exponent.get()) || BN_is_one(exponent.get()) || BN_num_bits(exponent.get()) > 33) {
    return Bad("RSA exponent is even, 1 or wider than 33 bits");
  }
  ParamBld builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_N, modulus.get());
  OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_RSA_E, exponent.get());
  SALLYPORT_TRY(key.pkey, FromParams("RSA", builder.get()));
  key.thumbprint = Thumbprint(R"({"e":")" + Base64UrlEncode(e) + R"(","kty":"RSA","n":")" +
                              Base64UrlEncode(n) + R"("})");
  return key;
}

Result<Key> ImportEc(json::Value jwk, std::string_view alg) {
  auto crv = jwk["crv"].string();
  auto curve = std::ranges::find_if(kCurves, [&](const Curve& c) { return crv == c.crv; });
  if (curve == kCurves.end()) return Bad("crv is not P-256 or P-384");
  if (!alg.empty() && ParseAlg(alg) != curve->alg) return Bad("alg does not fit the curve");
  SALLYPORT_TRY(Bytes x, Binary(jwk, "x"));
  SALLYPORT_TRY(Bytes y, Binary(jwk, "y"));
  if (x.size() != curve->width || y.size() != curve->width) {
    return Bad("EC coordinate has the wrong length");
  }
  Bytes point{4};  // uncompressed form, SEC 1 section 2.3.3
  point.insert(point.end(), x.begin(), x.end());
  point.insert(point.end(), y.begin(), y.end());
  ParamBld builder(OSSL_PARAM_BLD_new());
  OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0);
  OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point.data(),
                                   point.size());
  Key key;
  key.alg = curve->alg;
  SALLYPORT_TRY(key.pkey, FromParams("EC", builder.get()));
  PkeyCtx check(EVP_PKEY_CTX_new_from_pkey(nullptr, key.pkey.get(), nullptr));
  if (EVP_PKEY_public_check(check.get()) != 1) return Bad("EC point is not on its curve");
  key.thumbprint = Thumbprint(R"({"crv":")" + std::string(curve->crv) + R"(","kty":"EC","x":")" +
                              Base64UrlEncode(x) + R"(","y":")" + Base64UrlEncode(y) + R"("})");
  return key;
}

Result<Key> ImportOkp(json::Value jwk, std::string_view alg) {
  if (jwk["crv"].string() != "Ed25519") return Bad("crv is not Ed25519");
  if (!alg.empty() && ParseAlg(alg) != Alg::eddsa) return Bad("alg does not fit an Ed25519 key");
  SALLYPORT_TRY(Bytes x, Binary(jwk, "x"));
  if (x.size() != 32) return Bad("Ed25519 key is not 32 bytes");
  Key key;
  key.alg = Alg::eddsa;
  key.pkey.reset(EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, nullptr, x.data(), x.size()),
                 EVP_PKEY_free);
  if (!key.pkey) return Bad("OpenSSL does not accept the key");
  key.thumbprint =
      Thumbprint(R"({"crv":"Ed25519","kty":"OKP","x":")" + Base64UrlEncode(x) + R"("})");
  return key;
}

/// `use` and `key_ops` (RFC 7517 sections 4.2, 4.3), and no private or symmetric part.
Result<> CheckPurpose(json::Value jwk) {
  SALLYPORT_TRY(auto use, Text(jwk, "use"));
  if (!use.empty() && use != "sig") return Bad("use is not sig");
  if (json::Value ops = jwk["key_ops"]) {
    bool verifies = false;
    if (!ops.is(json::Kind::array)) return Bad("key_ops is not an array");
    for (auto op = ops.first(); op; op = op.next()) verifies |= op.string() == "verify";
    if (!verifies) return Bad("key_ops does not include verify");
  }
  for (auto secret : {"d", "p", "q", "k"}) {
    if (jwk[secret]) return Bad("it carries private or symmetric key material");
  }
  return {};
}

}  // namespace

std::string_view AlgName(Alg alg) {
  switch (alg) {
    case Alg::rs256:
      return "RS256";
    case Alg::ps256:
      return "PS256";
    case Alg::es256:
      return "ES256";
    case Alg::es384:
      return "ES384";
    case Alg::eddsa:
      return "EdDSA";
  }
  return "";
}

std::optional<Alg> ParseAlg(std::string_view name) {
  for (Alg alg : {Alg::rs256, Alg::ps256, Alg::es256, Alg::es384, Alg::eddsa}) {
    if (name == AlgName(alg)) return alg;
  }
  if (name == "Ed25519") return Alg::eddsa;
  return std::nullopt;
}

Result<Key> ImportJwk(json::Value jwk, const ImportRules& rules) {
  if (!jwk.is(json::Kind::object)) return Bad("it is not an object");
  SALLYPORT_CHECK(CheckPurpose(jwk));
  SALLYPORT_TRY(auto kid, Text(jwk, "kid"));
  SALLYPORT_TRY(auto alg, Text(jwk, "alg"));
  SALLYPORT_TRY(auto kty, Text(jwk, "kty"));
  if (kid.size() > 256) return Bad("kid is longer than 256 bytes");
  auto key = kty == "RSA"   ? ImportRsa(jwk, alg, rules)
             : kty == "EC"  ? ImportEc(jwk, alg)
             : kty == "OKP" ? ImportOkp(jwk, alg)
                            : Result<Key>(Bad("kty is not RSA, EC or OKP"));
  if (!key) return key;
  if (std::ranges::count(rules.algorithms, key->alg) == 0) {
    return Bad("its algorithm is not allowed for this provider");
  }
  key->kid = kid;
  return key;
}

Result<KeySet> KeySet::Import(std::string_view jwks, const ImportRules& rules) {
  if (jwks.size() > kMaxJwksBytes) {
    return Fail(Errc::request_too_large, "the key set is larger than 512 KiB");
  }
  auto document = json::Document::Parse(jwks, {.max_bytes = kMaxJwksBytes, .max_depth = 8});
  if (!document) return Fail(document.error().code, "the key set is not strict JSON");
  json::Value list = document->root()["keys"];
  if (!list.is(json::Kind::array)) return Bad("the key set has no array \"keys\"");
  if (list.size() > kMaxJwksKeys) {
    return Fail(Errc::request_too_large, "the key set has more than 100 keys");
  }
  KeySet set;
  std::set<std::string> ambiguous;
  size_t index = 0;
  for (auto jwk = list.first(); jwk; jwk = jwk.next()) {
    std::string label = "key " + std::to_string(++index) + ": ";
    auto key = ImportJwk(jwk, rules);
    if (!key) {
      set.skipped_.push_back(label + key.error().detail);
      continue;
    }
    auto same = std::ranges::find(set.keys_, key->kid, &Key::kid);
    if (same == set.keys_.end()) {
      set.keys_.push_back(std::move(*key));
    } else if (same->thumbprint != key->thumbprint || same->alg != key->alg) {
      set.skipped_.push_back(label + "another key has the same kid; neither is used");
      ambiguous.insert(key->kid);
    }
  }
  std::erase_if(set.keys_, [&](const Key& k) { return ambiguous.contains(k.kid); });
  return set;
}

const Key* KeySet::Find(std::string_view kid) const {
  if (kid.empty()) return keys_.size() == 1 ? &keys_.front() : nullptr;
  auto it = std::ranges::find(keys_, kid, &Key::kid);
  return it == keys_.end() ? nullptr : &*it;
}

bool KeySet::Holds(std::string_view kid, std::string_view thumbprint) const {
  const Key* key = Find(kid);
  return key != nullptr && key->thumbprint == thumbprint;
}

}  // namespace sallyport::identity
