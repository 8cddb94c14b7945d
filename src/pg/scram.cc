#include "pg/scram.h"

#include <array>
#include <charconv>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport::pg {
namespace {

using Key = std::array<uint8_t, SHA256_DIGEST_LENGTH>;

std::string_view Text(const Key& key) { return AsText(ByteView(key)); }

Key Hmac(std::string_view key, std::string_view data) {
  Key out{};
  HMAC(EVP_sha256(), key.data(), int(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(), out.data(), nullptr);
  return out;
}

Key Sha256(std::string_view data) {
  Key out{};
  SHA256(reinterpret_cast<const unsigned char*>(data.data()), data.size(), out.data());
  return out;
}

/// SaltedPassword of RFC 5802: Hi() is PBKDF2 with one block of output.
Key Salted(std::string_view password, std::string_view salt, uint32_t iterations) {
  Key out{};
  PKCS5_PBKDF2_HMAC(password.data(), int(password.size()),
                    reinterpret_cast<const unsigned char*>(salt.data()), int(salt.size()),
                    int(iterations), EVP_sha256(), int(out.size()), out.data());
  return out;
}

/// Takes "<name>=<value>," (or to the end) from the front.
bool TakeAttribute(std::string_view& rest, char name, std::string_view& value) {
  if (rest.size() < 2 || rest[0] != name || rest[1] != '=') return false;
  const size_t end = rest.find(',');
  value = rest.substr(2, end == std::string_view::npos ? end : end - 2);
  rest.remove_prefix(end == std::string_view::npos ? rest.size() : end + 1);
  return true;
}

/// Printable ASCII without a comma (RFC 5802, section 7).
bool IsNonce(std::string_view text) {
  for (const char c : text) {
    if (c < 0x21 || c > 0x7e || c == ',') return false;
  }
  return !text.empty();
}

std::unexpected<Error> Malformed(const char* what) {
  return Fail(Errc::upstream_protocol, std::string("SCRAM: ") + what);
}

Result<std::string> Md5Hex(std::string_view data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  if (EVP_Digest(data.data(), data.size(), digest, &size, EVP_md5(), nullptr) != 1)
    return Fail(Errc::upstream_login_failed,
                "the server asks for MD5, which is not available here");
  return HexEncode(ByteView(digest, size));
}

}  // namespace

ScramClient::ScramClient(Secret password, Binding binding, std::string certificate_hash)
    : ScramClient(std::move(password), binding, std::move(certificate_hash), NewHandle(24)) {}

ScramClient::ScramClient(Secret password, Binding binding, std::string certificate_hash,
                         std::string nonce)
    : password_(std::move(password)),
      binding_(binding),
      certificate_hash_(std::move(certificate_hash)),
      nonce_(std::move(nonce)) {}

std::string ScramClient::Header() const {
  switch (binding_) {
    case Binding::none:
      return "n,,";
    case Binding::not_offered:
      return "y,,";
    case Binding::end_point:
      return "p=tls-server-end-point,,";
  }
  return {};
}

std::string ScramClient::First() {
  first_bare_ = "n=,r=" + nonce_;
  return Header() + first_bare_;
}

Result<std::string> ScramClient::Final(std::string_view server_first) {
  if (server_first.size() > kMaxMessage) return Malformed("the server's first message is too long");
  std::string_view rest = server_first, nonce, salt_text, count_text;
  if (!TakeAttribute(rest, 'r', nonce) || !TakeAttribute(rest, 's', salt_text) ||
      !TakeAttribute(rest, 'i', count_text))
    return Malformed("the server's first message is malformed");
  if (!IsNonce(nonce) || !nonce.starts_with(nonce_)) return Malformed("the nonce is not ours");
  if (nonce.size() == nonce_.size()) return Malformed("the server added nothing to the nonce");
  const auto salt = Base64Decode(salt_text);
  if (!salt || salt->empty()) return Malformed("the salt is not base64");
  uint32_t iterations = 0;
  const auto [end, error] =
      std::from_chars(count_text.data(), count_text.data() + count_text.size(), iterations);
  if (error != std::errc() || end != count_text.data() + count_text.size() || iterations == 0)
    return Malformed("the iteration count is not a number");
  if (iterations > kMaxIterations) return Malformed("the iteration count is above our limit");

  std::string bound = Header();
  if (binding_ == Binding::end_point) bound += certificate_hash_;
  std::string final = "c=" + Base64Encode(AsBytes(bound)) + ",r=" + std::string(nonce);
  const std::string auth_message = first_bare_ + "," + std::string(server_first) + "," + final;

  Key salted = Salted(password_.Reveal(), AsText(ByteView(*salt)), iterations);
  Key client_key = Hmac(Text(salted), "Client Key");
  const Key signature = Hmac(Text(Sha256(Text(client_key))), auth_message);
  for (size_t i = 0; i < client_key.size(); ++i) client_key[i] ^= signature[i];
  server_signature_ = Text(Hmac(Text(Hmac(Text(salted), "Server Key")), auth_message));
  OPENSSL_cleanse(salted.data(), salted.size());
  return final + ",p=" + Base64Encode(ByteView(client_key));
}

Result<> ScramClient::Verify(std::string_view server_final) {
  if (server_final.size() > kMaxMessage || server_signature_.empty())
    return Malformed("the server's final message is malformed");
  std::string_view rest = server_final, value;
  if (TakeAttribute(rest, 'e', value))
    return Fail(Errc::upstream_login_failed, "SCRAM: the server refused the exchange");
  if (!TakeAttribute(rest, 'v', value)) return Malformed("the server's final message is malformed");
  const auto signature = Base64Decode(value);
  if (!signature) return Malformed("the server's signature is not base64");
  if (signature->size() != server_signature_.size() ||
      CRYPTO_memcmp(signature->data(), server_signature_.data(), signature->size()) != 0)
    return Fail(Errc::upstream_login_failed,
                "SCRAM: the server does not know this password; it may not be the server it seems");
  verified_ = true;
  return {};
}

std::string ScramVerifier(std::string_view password, std::string_view salt, uint32_t iterations) {
  const Key salted = Salted(password, salt, iterations);
  return "SCRAM-SHA-256$" + std::to_string(iterations) + ":" + Base64Encode(AsBytes(salt)) + "$" +
         Base64Encode(ByteView(Sha256(Text(Hmac(Text(salted), "Client Key"))))) + ":" +
         Base64Encode(ByteView(Hmac(Text(salted), "Server Key")));
}

Result<std::string> Md5Answer(std::string_view password, std::string_view user,
                              std::string_view salt) {
  SALLYPORT_TRY(const std::string inner, Md5Hex(std::string(password) + std::string(user)));
  SALLYPORT_TRY(const std::string outer, Md5Hex(inner + std::string(salt)));
  return "md5" + outer;
}

}  // namespace sallyport::pg
