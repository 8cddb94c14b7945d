#include "identity/jws.h"

#include <algorithm>
#include <cctype>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/rsa.h>
#include <optional>
#include <utility>

#include "base/bytes.h"
#include "identity/ossl.h"

namespace sallyport::identity {
namespace {

using Bytes = std::vector<uint8_t>;

std::unexpected<Error> Malformed(std::string why) {
  return Fail(Errc::token_malformed, std::move(why));
}

Result<json::Document> StrictObject(const Bytes& bytes, const char* what) {
  auto document = json::Document::Parse(
      AsText(bytes), {.max_bytes = kMaxTokenBytes, .max_depth = 16, .max_nodes = 4096});
  if (!document) return Malformed(std::string(what) + " is not strict JSON");
  if (!document->root().is(json::Kind::object))
    return Malformed(std::string(what) + " is not an object");
  return std::move(*document);
}

Result<std::string> HeaderText(json::Value header, std::string_view name) {
  json::Value v = header[name];
  if (!v) return std::string();
  auto text = v.string();
  if (!text || text->empty() || text->size() > 256) {
    return Malformed("header parameter " + std::string(name) + " is not a short string");
  }
  return std::string(*text);
}

Result<> ReadHeader(Jws& jws, HeaderKey key) {
  json::Value header = jws.header.root();
  const bool own_key = key == HeaderKey::required;
  if (own_key && !header["jwk"].is(json::Kind::object)) return Malformed("there is no jwk");
  for (std::string_view name : {"crit", "b64", "zip", "jku", "jwk", "x5u", "x5c"}) {
    if (own_key && name == "jwk") continue;
    if (header[name]) return Malformed("header parameter " + std::string(name) + " is not allowed");
  }
  auto alg = header["alg"].string();
  auto known = alg ? ParseAlg(*alg) : std::nullopt;
  if (!known) return Fail(Errc::token_alg_refused, "the signature algorithm is not allowed");
  jws.alg = *known;
  SALLYPORT_TRY(jws.kid, HeaderText(header, "kid"));
  SALLYPORT_TRY(jws.typ, HeaderText(header, "typ"));
  std::ranges::transform(jws.typ, jws.typ.begin(), [](uint8_t c) { return char(std::tolower(c)); });
  if (jws.typ.starts_with("application/")) jws.typ.erase(0, 12);
  return {};
}

/// r and s of fixed width (RFC 7518 section 3.4) to the DER form that OpenSSL takes.
std::optional<Bytes> EcdsaToDer(const Bytes& raw, size_t width) {
  if (raw.size() != 2 * width) return std::nullopt;
  EcdsaSig sig(ECDSA_SIG_new());
  BigNum r(BN_bin2bn(raw.data(), int(width), nullptr));
  BigNum s(BN_bin2bn(raw.data() + width, int(width), nullptr));
  if (!sig || !r || !s || BN_is_zero(r.get()) || BN_is_zero(s.get())) return std::nullopt;
  ECDSA_SIG_set0(sig.get(), r.release(), s.release());
  Bytes der(size_t(std::max(0, i2d_ECDSA_SIG(sig.get(), nullptr))));
  uint8_t* out = der.data();
  if (der.empty() || i2d_ECDSA_SIG(sig.get(), &out) <= 0) return std::nullopt;
  return der;
}

bool SignatureHolds(const Key& key, std::string_view input, const Bytes& signature) {
  const EVP_MD* digest = key.alg == Alg::eddsa   ? nullptr
                         : key.alg == Alg::es384 ? EVP_sha384()
                                                 : EVP_sha256();
  MdCtx ctx(EVP_MD_CTX_new());
  EVP_PKEY_CTX* options = nullptr;  // belongs to ctx
  if (!ctx || EVP_DigestVerifyInit(ctx.get(), &options, digest, nullptr, key.pkey.get()) != 1) {
    return false;
  }
  if (key.alg == Alg::ps256 &&
      (EVP_PKEY_CTX_set_rsa_padding(options, RSA_PKCS1_PSS_PADDING) != 1 ||
       EVP_PKEY_CTX_set_rsa_pss_saltlen(options, RSA_PSS_SALTLEN_DIGEST) != 1)) {
    return false;
  }
  std::optional<Bytes> der;
  if (key.alg == Alg::es256 || key.alg == Alg::es384) {
    der = EcdsaToDer(signature, key.alg == Alg::es256 ? 32 : 48);
    if (!der) return false;
  }
  const Bytes& presented = der ? *der : signature;
  ByteView bytes = AsBytes(input);
  return EVP_DigestVerify(ctx.get(), presented.data(), presented.size(), bytes.data(),
                          bytes.size()) == 1;
}

}  // namespace

Result<Jws> ParseJws(std::string_view token, HeaderKey key) {
  if (token.empty()) return Fail(Errc::token_missing, "no token");
  if (token.size() > kMaxTokenBytes) return Malformed("the token is longer than 16 KiB");
  size_t first = token.find('.');
  size_t second = first == token.npos ? token.npos : token.find('.', first + 1);
  if (second == token.npos || token.find('.', second + 1) != token.npos) {
    return Malformed("the token does not have three segments");
  }
  auto header = Base64UrlDecode(token.substr(0, first));
  if (!header) return Malformed("the header is not unpadded base64url");

  Jws jws;
  jws.signing_input = token.substr(0, second);
  jws.header_bytes = std::move(*header);
  SALLYPORT_TRY(jws.header, StrictObject(jws.header_bytes, "the header"));
  SALLYPORT_CHECK(ReadHeader(jws, key));

  auto claims = Base64UrlDecode(token.substr(first + 1, second - first - 1));
  auto signature = Base64UrlDecode(token.substr(second + 1));
  if (!claims || !signature) return Malformed("a segment is not unpadded base64url");
  if (signature->empty()) return Malformed("the signature is empty");
  jws.signature = std::move(*signature);
  jws.claims_bytes = std::move(*claims);
  SALLYPORT_TRY(jws.claims, StrictObject(jws.claims_bytes, "the claims set"));
  return jws;
}

Result<> VerifySignature(const Jws& jws, const Key& key) {
  if (jws.alg != key.alg) {
    return Fail(Errc::token_alg_refused,
                "the token's algorithm is not the one its key is bound to");
  }
  bool holds = SignatureHolds(key, jws.signing_input, jws.signature);
  if (!holds) {
    ERR_clear_error();  // OpenSSL's queue is per thread and would be read by whoever comes next
    return Fail(Errc::token_signature_invalid, "the signature does not verify");
  }
  return {};
}

}  // namespace sallyport::identity
