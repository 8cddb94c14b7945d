#pragma once

#include <memory>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/sha.h>
#include <string>

#include "approval/passkey.h"
#include "base/bytes.h"

namespace sallyport::approval {

/// An authenticator of one key, made of OpenSSL alone, so that what the tests say does not come
/// from the library that judges it. Every step of a ceremony can be bent.
class TestAuthenticator {
 public:
  struct Bend {
    std::string type, origin, rp_id,
        extra;       // empty: as asked; extra: more members of the client data
    int flags = -1;  // -1: present and verified
    uint32_t counter = 0;
  };

  explicit TestAuthenticator(PasskeyAlgorithm algorithm, std::string id = "credential-0123456789")
      : algorithm_(algorithm), id_(std::move(id)), key_(Generate(algorithm), EVP_PKEY_free) {}

  Registration Register(const RelyingParty& party, const std::string& challenge,
                        const Bend& bend) const {
    std::string data = Head(party, bend, 0x40);
    data += std::string(16, '\0');  // AAGUID
    data += static_cast<char>(id_.size() >> 8);
    data += static_cast<char>(id_.size() & 0xff);
    data += id_ + CoseKey();
    return {Base64UrlEncode(AsBytes(ClientData("webauthn.create", party, challenge, bend))),
            Base64UrlEncode(AsBytes(data))};
  }

  Assertion Assert(const RelyingParty& party, const std::string& challenge,
                   const Bend& bend) const {
    const std::string data = Head(party, bend, 0);
    const std::string client = ClientData("webauthn.get", party, challenge, bend);
    return {Base64UrlEncode(AsBytes(id_)), Base64UrlEncode(AsBytes(client)),
            Base64UrlEncode(AsBytes(data)), Base64UrlEncode(AsBytes(Sign(data + Sha(client))))};
  }

 private:
  static EVP_PKEY* Generate(PasskeyAlgorithm algorithm) {
    switch (algorithm) {
      case PasskeyAlgorithm::es256:
        return EVP_EC_gen("P-256");
      case PasskeyAlgorithm::eddsa:
        return EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519");
      case PasskeyAlgorithm::rs256:
        return EVP_RSA_gen(2048);
    }
    return nullptr;
  }

  static std::string Sha(const std::string& text) {
    unsigned char hash[32];
    SHA256(AsBytes(text).data(), text.size(), hash);
    return std::string(reinterpret_cast<char*>(hash), sizeof hash);
  }

  static std::string Head(const RelyingParty& party, const Bend& bend, int more) {
    std::string data = Sha(bend.rp_id.empty() ? party.id : bend.rp_id);
    data += static_cast<char>((bend.flags < 0 ? 0x05 : bend.flags) | more);
    uint8_t counter[4];
    StoreBe32(counter, bend.counter);
    return data.append(AsText(counter));
  }

  static std::string ClientData(const std::string& type, const RelyingParty& party,
                                const std::string& challenge, const Bend& bend) {
    return "{\"type\":\"" + (bend.type.empty() ? type : bend.type) + "\",\"challenge\":\"" +
           challenge + "\",\"origin\":\"" + (bend.origin.empty() ? party.origin : bend.origin) +
           "\"" + (bend.extra.empty() ? ",\"crossOrigin\":false" : bend.extra) + "}";
  }

  std::string Sign(const std::string& text) const {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> ctx(EVP_MD_CTX_new(),
                                                                      EVP_MD_CTX_free);
    const EVP_MD* md = algorithm_ == PasskeyAlgorithm::eddsa ? nullptr : EVP_sha256();
    EVP_DigestSignInit(ctx.get(), nullptr, md, nullptr, key_.get());
    size_t size = 1024;
    std::string out(size, '\0');
    EVP_DigestSign(ctx.get(), reinterpret_cast<unsigned char*>(out.data()), &size,
                   AsBytes(text).data(), text.size());
    out.resize(size);
    return out;
  }

  std::string Number(const char* name, size_t size) const {
    BIGNUM* number = nullptr;
    EVP_PKEY_get_bn_param(key_.get(), name, &number);
    std::string out(size, '\0');
    BN_bn2binpad(number, reinterpret_cast<unsigned char*>(out.data()), static_cast<int>(size));
    BN_free(number);
    return out;
  }

  /// RFC 9053 sections 7.1.1 and 7.2, RFC 8230 section 4, in canonical CBOR.
  std::string CoseKey() const {
    using std::string_literals::operator""s;
    switch (algorithm_) {
      case PasskeyAlgorithm::es256:
        return "\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"s + Number(OSSL_PKEY_PARAM_EC_PUB_X, 32) +
               "\x22\x58\x20"s + Number(OSSL_PKEY_PARAM_EC_PUB_Y, 32);
      case PasskeyAlgorithm::eddsa: {
        std::string raw(32, '\0');
        size_t size = raw.size();
        EVP_PKEY_get_raw_public_key(key_.get(), reinterpret_cast<unsigned char*>(raw.data()),
                                    &size);
        return "\xa4\x01\x01\x03\x27\x20\x06\x21\x58\x20"s + raw;
      }
      case PasskeyAlgorithm::rs256:
        return "\xa4\x01\x03\x03\x39\x01\x00\x20\x59\x01\x00"s +
               Number(OSSL_PKEY_PARAM_RSA_N, 256) + "\x21\x43\x01\x00\x01"s;
    }
    return {};
  }

  PasskeyAlgorithm algorithm_;
  std::string id_;
  std::unique_ptr<EVP_PKEY, decltype(&EVP_PKEY_free)> key_;
};

}  // namespace sallyport::approval
