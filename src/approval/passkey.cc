#include "approval/passkey.h"

#include <array>
#include <cstring>
#include <fido.h>
#include <fido/eddsa.h>
#include <fido/es256.h>
#include <fido/rs256.h>
#include <memory>
#include <mutex>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <optional>
#include <vector>

#include "base/bytes.h"
#include "json/document.h"

namespace sallyport::approval {
namespace {

constexpr size_t kMaxClientData = 4096;
constexpr size_t kMaxAuthenticatorData = 4096;
constexpr size_t kMaxSignature = 1024;
constexpr size_t kMaxPublicKey = 1024;
// WebAuthn section 6.1: 32 bytes hash of the relying party, 1 byte flags, 4 bytes counter.
constexpr size_t kFlags = 32, kCounter = 33, kHead = 37;
constexpr uint8_t kUserPresent = 0x01, kUserVerified = 0x04;

template <auto F>
struct Free {
  template <class T>
  void operator()(T* p) const {
    F(&p);
  }
};
using FidoAssert = std::unique_ptr<fido_assert_t, Free<fido_assert_free>>;
using FidoCred = std::unique_ptr<fido_cred_t, Free<fido_cred_free>>;
using Es256 = std::unique_ptr<es256_pk_t, Free<es256_pk_free>>;
using Rs256 = std::unique_ptr<rs256_pk_t, Free<rs256_pk_free>>;
using Eddsa = std::unique_ptr<eddsa_pk_t, Free<eddsa_pk_free>>;
struct FreePkey {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
};
using Pkey = std::unique_ptr<EVP_PKEY, FreePkey>;

std::unexpected<Error> Invalid(std::string why) {
  return Fail(Errc::passkey_invalid, std::move(why));
}

void InitOnce() {
  static std::once_flag once;
  std::call_once(once, [] { fido_init(0); });
}

std::array<uint8_t, SHA256_DIGEST_LENGTH> Sha256(std::string_view bytes) {
  std::array<uint8_t, SHA256_DIGEST_LENGTH> hash;
  SHA256(AsBytes(bytes).data(), bytes.size(), hash.data());
  return hash;
}

Result<std::vector<uint8_t>> Decode(std::string_view text, size_t limit, const char* what) {
  if (text.size() > limit * 4 / 3 + 4) return Invalid(std::string(what) + " is too long");
  auto bytes = Base64UrlDecode(text);
  if (!bytes || bytes->empty()) return Invalid(std::string(what) + " is not base64url");
  return std::move(*bytes);
}

/// The client data says what the browser was asked and by which page (WebAuthn section 5.8.1).
Result<> CheckClientData(std::string_view bytes, std::string_view type, std::string_view challenge,
                         const RelyingParty& party) {
  const auto document = json::Document::Parse(bytes, {.max_bytes = kMaxClientData, .max_depth = 8});
  if (!document) return Invalid("the client data is not JSON: " + document.error().detail);
  const json::Value data = document->root();
  if (data["type"].string() != type) return Invalid("the client data is of another ceremony");
  if (data["challenge"].string() != challenge) return Invalid("the challenge is another one");
  if (data["origin"].string() != party.origin) return Invalid("the origin is another one");
  const json::Value cross = data["crossOrigin"];
  if ((cross && cross.boolean() != false) || data["topOrigin"]) {
    return Invalid("the page was inside a frame of another origin");
  }
  return {};
}

/// What stands at fixed places of the authenticator data, each failure said by its name; libfido2
/// checks the same again beside the signature.
Result<uint32_t> CheckHead(const std::vector<uint8_t>& data, const RelyingParty& party) {
  if (data.size() < kHead) return Invalid("the authenticator data is too short");
  const auto want = Sha256(party.id);
  if (std::memcmp(data.data(), want.data(), want.size()) != 0) {
    return Invalid("the relying party is another one");
  }
  if ((data[kFlags] & kUserPresent) == 0) return Invalid("nobody was present");
  if ((data[kFlags] & kUserVerified) == 0) return Invalid("the user was not verified");
  return LoadBe32(data.data() + kCounter);
}

std::string Spki(EVP_PKEY* pkey) {
  uint8_t* der = nullptr;
  const int size = i2d_PUBKEY(pkey, &der);
  if (size <= 0) return {};
  std::string out = Base64UrlEncode({der, static_cast<size_t>(size)});
  OPENSSL_free(der);
  return out;
}

/// The registered public key as OpenSSL's, which checks that it is one (a point on its curve).
Pkey RegisteredKey(const fido_cred_t* cred, PasskeyAlgorithm algorithm) {
  const uint8_t* bytes = fido_cred_pubkey_ptr(cred);
  const size_t size = fido_cred_pubkey_len(cred);
  if (bytes == nullptr) return nullptr;
  switch (algorithm) {
    case PasskeyAlgorithm::es256: {
      const Es256 key(es256_pk_new());
      if (es256_pk_from_ptr(key.get(), bytes, size) != FIDO_OK) return nullptr;
      return Pkey(es256_pk_to_EVP_PKEY(key.get()));
    }
    case PasskeyAlgorithm::eddsa: {
      const Eddsa key(eddsa_pk_new());
      if (eddsa_pk_from_ptr(key.get(), bytes, size) != FIDO_OK) return nullptr;
      return Pkey(eddsa_pk_to_EVP_PKEY(key.get()));
    }
    case PasskeyAlgorithm::rs256: {
      const Rs256 key(rs256_pk_new());
      if (rs256_pk_from_ptr(key.get(), bytes, size) != FIDO_OK) return nullptr;
      return Pkey(rs256_pk_to_EVP_PKEY(key.get()));
    }
  }
  return nullptr;
}

Result<Pkey> StoredKey(const Passkey& key) {
  SALLYPORT_TRY(const auto der, Decode(key.public_key, kMaxPublicKey, "the public key"));
  const uint8_t* p = der.data();
  Pkey pkey(d2i_PUBKEY(nullptr, &p, static_cast<long>(der.size())));
  if (!pkey || p != der.data() + der.size()) return Invalid("the public key cannot be read");
  return pkey;
}

/// libfido2's verdict on the signature. RS256 keys other than 2048 bits with exponent 65537 are
/// refused by it.
int VerifySignature(const fido_assert_t* assertion, PasskeyAlgorithm algorithm, EVP_PKEY* pkey) {
  switch (algorithm) {
    case PasskeyAlgorithm::es256: {
      const Es256 key(es256_pk_new());
      if (es256_pk_from_EVP_PKEY(key.get(), pkey) != FIDO_OK) return FIDO_ERR_INVALID_ARGUMENT;
      return fido_assert_verify(assertion, 0, COSE_ES256, key.get());
    }
    case PasskeyAlgorithm::eddsa: {
      const Eddsa key(eddsa_pk_new());
      if (eddsa_pk_from_EVP_PKEY(key.get(), pkey) != FIDO_OK) return FIDO_ERR_INVALID_ARGUMENT;
      return fido_assert_verify(assertion, 0, COSE_EDDSA, key.get());
    }
    case PasskeyAlgorithm::rs256: {
      const Rs256 key(rs256_pk_new());
      if (rs256_pk_from_EVP_PKEY(key.get(), pkey) != FIDO_OK) return FIDO_ERR_INVALID_ARGUMENT;
      return fido_assert_verify(assertion, 0, COSE_RS256, key.get());
    }
  }
  return FIDO_ERR_UNSUPPORTED_ALGORITHM;
}

std::optional<PasskeyAlgorithm> AlgorithmOf(int64_t cose) {
  for (const auto known :
       {PasskeyAlgorithm::es256, PasskeyAlgorithm::eddsa, PasskeyAlgorithm::rs256}) {
    if (static_cast<int64_t>(known) == cose) return known;
  }
  return std::nullopt;
}

/// Everything but the counter, which only the gate knows.
Result<uint32_t> VerifyStateless(const Assertion& assertion, const Passkey& key,
                                 const RelyingParty& party, std::string_view challenge) {
  InitOnce();
  if (assertion.credential != key.id) return Invalid("the credential is another one");
  SALLYPORT_TRY(const auto client,
                Decode(assertion.client_data, kMaxClientData, "the client data"));
  SALLYPORT_TRY(const auto data, Decode(assertion.authenticator_data, kMaxAuthenticatorData,
                                        "the authenticator data"));
  SALLYPORT_TRY(const auto signature, Decode(assertion.signature, kMaxSignature, "the signature"));
  SALLYPORT_CHECK(CheckClientData(AsText(client), "webauthn.get", challenge, party));
  SALLYPORT_TRY(const uint32_t counter, CheckHead(data, party));
  SALLYPORT_TRY(const Pkey pkey, StoredKey(key));

  const FidoAssert fido(fido_assert_new());
  const auto hash = Sha256(AsText(client));
  if (!fido || fido_assert_set_count(fido.get(), 1) != FIDO_OK ||
      fido_assert_set_rp(fido.get(), party.id.c_str()) != FIDO_OK ||
      fido_assert_set_clientdata_hash(fido.get(), hash.data(), hash.size()) != FIDO_OK ||
      fido_assert_set_up(fido.get(), FIDO_OPT_TRUE) != FIDO_OK ||
      fido_assert_set_uv(fido.get(), FIDO_OPT_TRUE) != FIDO_OK) {
    return Fail(Errc::internal, "libfido2");
  }
  if (fido_assert_set_authdata_raw(fido.get(), 0, data.data(), data.size()) != FIDO_OK) {
    return Invalid("the authenticator data cannot be read");
  }
  if (fido_assert_set_sig(fido.get(), 0, signature.data(), signature.size()) != FIDO_OK ||
      VerifySignature(fido.get(), key.algorithm, pkey.get()) != FIDO_OK) {
    return Invalid("the signature does not match");
  }
  return counter;
}

}  // namespace

Result<RelyingParty> RelyingPartyOf(std::string_view public_url) {
  const size_t scheme = public_url.find("://");
  if (scheme == std::string_view::npos ||
      (!public_url.starts_with("https://") && !public_url.starts_with("http://"))) {
    return Fail(Errc::config_invalid, "public_url is no http(s) URL");
  }
  const size_t begin = scheme + 3;
  const std::string_view authority =
      public_url.substr(begin, public_url.find_first_of("/?#", begin) - begin);
  const size_t colon = authority.find_last_of(':');
  const std::string_view host = authority.substr(0, colon);
  if (host.empty() || host.front() == '[' ||
      host.find_first_not_of("0123456789.") == std::string_view::npos) {
    return Fail(Errc::config_invalid, "passkeys need a host name in public_url, not an address");
  }
  std::string port(colon == std::string_view::npos ? "" : authority.substr(colon));
  const bool https = scheme == 5;
  if (port == (https ? ":443" : ":80")) port.clear();
  return RelyingParty{.origin = std::string(public_url.substr(0, begin)) + std::string(host) + port,
                      .id = std::string(host)};
}

Result<Passkey> VerifyRegistration(const Registration& registration, const RelyingParty& party,
                                   std::string_view challenge) {
  InitOnce();
  SALLYPORT_TRY(const auto client,
                Decode(registration.client_data, kMaxClientData, "the client data"));
  SALLYPORT_TRY(const auto data, Decode(registration.authenticator_data, kMaxAuthenticatorData,
                                        "the authenticator data"));
  SALLYPORT_CHECK(CheckClientData(AsText(client), "webauthn.create", challenge, party));
  SALLYPORT_TRY(const uint32_t counter, CheckHead(data, party));

  for (const auto algorithm :
       {PasskeyAlgorithm::es256, PasskeyAlgorithm::eddsa, PasskeyAlgorithm::rs256}) {
    const FidoCred cred(fido_cred_new());
    if (!cred || fido_cred_set_type(cred.get(), static_cast<int>(algorithm)) != FIDO_OK ||
        fido_cred_set_rp(cred.get(), party.id.c_str(), nullptr) != FIDO_OK ||
        fido_cred_set_fmt(cred.get(), "none") != FIDO_OK) {
      return Fail(Errc::internal, "libfido2");
    }
    // Fails for a key of another algorithm, and for data that ends early or goes on.
    if (fido_cred_set_authdata_raw(cred.get(), data.data(), data.size()) != FIDO_OK) continue;
    const uint8_t* id = fido_cred_id_ptr(cred.get());
    const Pkey pkey = RegisteredKey(cred.get(), algorithm);
    if (id == nullptr || !pkey) return Invalid("the public key cannot be read");
    std::string spki = Spki(pkey.get());
    if (spki.empty()) return Invalid("the public key cannot be read");
    return Passkey{.id = Base64UrlEncode({id, fido_cred_id_len(cred.get())}),
                   .algorithm = algorithm,
                   .public_key = std::move(spki),
                   .sign_count = counter};
  }
  return Invalid("no credential of a known algorithm (ES256, EdDSA, RS256)");
}

std::string VoteChallenge(std::string_view digest, bool approve) {
  std::string text = "sallyport-approval-v1\n";
  text.append(digest).append("\n").append(approve ? "approve" : "deny").append("\n");
  return Base64UrlEncode(Sha256(text));
}

Result<uint32_t> VerifyAssertion(const Assertion& assertion, const Passkey& key,
                                 const RelyingParty& party, std::string_view challenge) {
  SALLYPORT_TRY(const uint32_t counter, VerifyStateless(assertion, key, party, challenge));
  // WebAuthn section 7.2 step 21: zero on both sides means that the authenticator does not count.
  if ((counter != 0 || key.sign_count != 0) && counter <= key.sign_count) {
    return Invalid("the signature counter has not moved: a replay, or a copied key");
  }
  return counter;
}

std::string ProofJson(const Assertion& assertion, const Passkey& key, const RelyingParty& party) {
  std::string out = "{\"credential\":" + json::Quote(key.id);
  out += ",\"algorithm\":" + std::to_string(static_cast<int32_t>(key.algorithm));
  out += ",\"public_key\":" + json::Quote(key.public_key);
  out += ",\"registered\":" + std::to_string(key.entry);
  out += ",\"origin\":" + json::Quote(party.origin) + ",\"rp_id\":" + json::Quote(party.id);
  out += ",\"client_data\":" + json::Quote(assertion.client_data);
  out += ",\"authenticator_data\":" + json::Quote(assertion.authenticator_data);
  out += ",\"signature\":" + json::Quote(assertion.signature) + "}";
  return out;
}

Result<CheckedProof> CheckProof(std::string_view proof_json, std::string_view digest,
                                bool approve) {
  SALLYPORT_TRY(const auto document, json::Document::Parse(proof_json));
  const json::Value proof = document.root();
  const auto text = [&](const char* name) {
    return std::string(proof[name].string().value_or(""));
  };
  const auto algorithm = AlgorithmOf(proof["algorithm"].integer().value_or(0));
  if (!algorithm) return Invalid("the algorithm is unknown");
  const Passkey key{
      .id = text("credential"), .algorithm = *algorithm, .public_key = text("public_key")};
  const Assertion assertion{.credential = key.id,
                            .client_data = text("client_data"),
                            .authenticator_data = text("authenticator_data"),
                            .signature = text("signature")};
  const RelyingParty party{.origin = text("origin"), .id = text("rp_id")};
  SALLYPORT_CHECK(VerifyStateless(assertion, key, party, VoteChallenge(digest, approve)));
  return CheckedProof{
      .credential = key.id,
      .origin = party.origin,
      .registered = static_cast<uint64_t>(proof["registered"].integer().value_or(0)),
      .public_key = key.public_key};
}

}  // namespace sallyport::approval
