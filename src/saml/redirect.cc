#include "saml/redirect.h"

#include <array>
#include <memory>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/x509.h>
#include <optional>
#include <zlib.h>

#include "base/bytes.h"
#include "saml/key.h"

namespace sallyport::saml {
namespace {

constexpr std::string_view kRsaSha256 = "http://www.w3.org/2001/04/xmldsig-more#rsa-sha256";
constexpr size_t kLongestQuery = 32 << 10;

std::unexpected<Error> Bad(std::string detail) {
  return Fail(Errc::token_malformed, std::move(detail));
}

/// Raw DEFLATE (RFC 1951) of a small text.
std::string Deflate(const std::string& text) {
  z_stream stream{};
  if (deflateInit2(&stream, Z_BEST_COMPRESSION, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) != Z_OK)
    return {};
  std::string out(deflateBound(&stream, text.size()), '\0');
  std::string in = text;
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = uInt(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  const int done = deflate(&stream, Z_FINISH);
  out.resize(done == Z_STREAM_END ? stream.total_out : 0);
  deflateEnd(&stream);
  return out;
}

std::string Percent(std::string_view text) {
  static constexpr std::string_view kHex = "0123456789ABCDEF";
  std::string out;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                       c == '-' || c == '_' || c == '.' || c == '~';
    if (plain) {
      out += c;
    } else {
      out += '%';
      out += kHex[uint8_t(c) >> 4];
      out += kHex[uint8_t(c) & 15];
    }
  }
  return out;
}

std::optional<std::string> Decode(std::string_view text) {
  std::string out;
  const auto digit = [](char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      out += text[i] == '+' ? ' ' : text[i];
      continue;
    }
    const int high = i + 2 < text.size() ? digit(text[i + 1]) : -1;
    const int low = i + 2 < text.size() ? digit(text[i + 2]) : -1;
    if (high < 0 || low < 0) return std::nullopt;
    out += char(high * 16 + low);
    i += 2;
  }
  return out;
}

/// The parts of a query that the binding knows, as they stand there.
struct Parts {
  std::optional<std::string_view> request, response, relay_state, algorithm, signature;
};

Result<Parts> Split(std::string_view query) {
  Parts out;
  while (!query.empty()) {
    const std::string_view part = query.substr(0, query.find('&'));
    query.remove_prefix(std::min(query.size(), part.size() + 1));
    const size_t at = part.find('=');
    const std::string_view name = part.substr(0, at);
    auto* place = name == "SAMLRequest"    ? &out.request
                  : name == "SAMLResponse" ? &out.response
                  : name == "RelayState"   ? &out.relay_state
                  : name == "SigAlg"       ? &out.algorithm
                  : name == "Signature"    ? &out.signature
                                           : nullptr;
    if (place == nullptr) continue;
    if (*place) return Bad(std::string(name) + " occurs twice");
    *place = at == part.npos ? std::string_view() : part.substr(at + 1);
  }
  if (out.request.has_value() == out.response.has_value())
    return Bad("neither a request nor a response, or both");
  return out;
}

const EVP_MD* DigestOf(std::string_view algorithm, int key_type) {
  static constexpr std::string_view kMore = "http://www.w3.org/2001/04/xmldsig-more#";
  if (!algorithm.starts_with(kMore)) return nullptr;
  algorithm.remove_prefix(kMore.size());
  const std::string_view family = key_type == EVP_PKEY_RSA ? "rsa-" : "ecdsa-";
  if (!algorithm.starts_with(family)) return nullptr;
  algorithm.remove_prefix(family.size());
  if (algorithm == "sha256") return EVP_sha256();
  if (algorithm == "sha384") return EVP_sha384();
  return algorithm == "sha512" ? EVP_sha512() : nullptr;
}

bool IsKnown(std::string_view algorithm) {
  return DigestOf(algorithm, EVP_PKEY_RSA) != nullptr ||
         DigestOf(algorithm, EVP_PKEY_EC) != nullptr;
}

/// ECDSA signatures are r‖s in XML signatures; OpenSSL wants DER.
std::string DerOf(std::string_view pair) {
  if (pair.size() % 2 != 0 || pair.size() > 132) return {};
  ECDSA_SIG* made = ECDSA_SIG_new();
  const auto* at = reinterpret_cast<const unsigned char*>(pair.data());
  const int half = int(pair.size() / 2);
  BIGNUM* r = BN_bin2bn(at, half, nullptr);
  BIGNUM* s = BN_bin2bn(at + half, half, nullptr);
  ECDSA_SIG_set0(made, r, s);
  unsigned char* der = nullptr;
  const int size = i2d_ECDSA_SIG(made, &der);
  std::string out(reinterpret_cast<const char*>(der), size > 0 ? size_t(size) : 0);
  OPENSSL_free(der);
  ECDSA_SIG_free(made);
  return out;
}

bool IsBy(const std::string& spki, std::string_view algorithm, std::string_view text,
          std::string signature) {
  if (!IsUsableKey(spki)) return false;
  const auto* at = reinterpret_cast<const unsigned char*>(spki.data());
  const std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key(
      d2i_PUBKEY(nullptr, &at, long(spki.size())), EVP_PKEY_free);
  const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                        EVP_MD_CTX_free);
  const int type = key ? EVP_PKEY_get_base_id(key.get()) : 0;
  const EVP_MD* digest = DigestOf(algorithm, type);
  if (!key || !context || digest == nullptr) return false;
  if (type == EVP_PKEY_EC) signature = DerOf(signature);
  const bool good =
      !signature.empty() &&
      EVP_DigestVerifyInit(context.get(), nullptr, digest, nullptr, key.get()) == 1 &&
      EVP_DigestVerify(context.get(), reinterpret_cast<const unsigned char*>(signature.data()),
                       signature.size(), reinterpret_cast<const unsigned char*>(text.data()),
                       text.size()) == 1;
  ERR_clear_error();
  return good;
}

std::optional<std::string> Base64Of(std::string_view encoded) {
  auto text = Decode(encoded);
  if (!text) return std::nullopt;
  std::erase_if(*text, [](char c) { return c == '\r' || c == '\n'; });
  const auto bytes = Base64Decode(*text);
  if (!bytes || bytes->empty()) return std::nullopt;
  return std::string(AsText(*bytes));
}

}  // namespace

std::string RedirectUrl(std::string_view to, Kind kind, const std::string& xml,
                        std::string_view relay_state, const Signer* signer) {
  std::string query = kind == Kind::request ? "SAMLRequest=" : "SAMLResponse=";
  query += Percent(Base64Encode(AsBytes(Deflate(xml))));
  if (!relay_state.empty()) query += "&RelayState=" + Percent(relay_state);
  if (signer != nullptr) {
    query += "&SigAlg=" + Percent(kRsaSha256);
    query += "&Signature=" + Percent(Base64Encode(AsBytes(signer->Sign(query))));
  }
  std::string url(to);
  url += url.find('?') == url.npos ? "?" : "&";
  return url + query;
}

Result<Redirected> ReadRedirect(std::string_view query, const std::vector<std::string>& keys) {
  if (query.size() > kLongestQuery) return Bad("too large");
  SALLYPORT_TRY(const Parts parts, Split(query));
  if (!parts.algorithm || !parts.signature)
    return Fail(Errc::token_signature_invalid, "the message is not signed");
  const auto algorithm = Decode(*parts.algorithm);
  const auto signature = Base64Of(*parts.signature);
  const auto deflated = Base64Of(parts.request ? *parts.request : *parts.response);
  const auto relay_state = Decode(parts.relay_state.value_or(""));
  if (!algorithm || !signature || !deflated || !relay_state)
    return Bad("something in the query is not base64, or not encoded as queries are");
  if (!IsKnown(*algorithm))
    return Fail(Errc::token_alg_refused, "a signature algorithm that is not accepted");
  std::string text = parts.request ? "SAMLRequest=" + std::string(*parts.request)
                                   : "SAMLResponse=" + std::string(*parts.response);
  if (parts.relay_state) text += "&RelayState=" + std::string(*parts.relay_state);
  text += "&SigAlg=" + std::string(*parts.algorithm);
  for (const std::string& key : keys) {
    if (IsBy(key, *algorithm, text, *signature))
      return Redirected{.kind = parts.request ? Kind::request : Kind::response,
                        .deflated = *deflated,
                        .relay_state = *relay_state};
  }
  return Fail(Errc::token_signature_invalid,
              "the signature is by none of the keys in the provider's metadata");
}

Result<std::string> Inflate(std::string_view deflated, size_t most) {
  z_stream stream{};
  if (inflateInit2(&stream, -15) != Z_OK) return Fail(Errc::internal, "no memory");
  std::string out(most + 1, '\0'), in(deflated);
  stream.next_in = reinterpret_cast<Bytef*>(in.data());
  stream.avail_in = uInt(in.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  const int done = inflate(&stream, Z_FINISH);
  out.resize(stream.total_out);
  const bool whole = done == Z_STREAM_END && stream.avail_in == 0;
  inflateEnd(&stream);
  if (!whole || out.size() > most) return Bad("not a deflated message, or too large");
  return out;
}

}  // namespace sallyport::saml
