#include "mask/render.h"

#include <array>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "mask/iin_table.h"
#include "mask/impl.h"

namespace sallyport::mask {
namespace {

using Digest = std::array<uint8_t, 32>;

Digest Hmac(const Secret& key, std::string_view label, std::string_view data) {
  std::string message(label);
  message += '\0';
  message += data;
  Digest digest{};
  unsigned size = 0;
  const std::string_view k = key.Reveal();
  HMAC(EVP_sha256(), k.data(), int(k.size()), reinterpret_cast<const uint8_t*>(message.data()),
       message.size(), digest.data(), &size);
  explicit_bzero(message.data(), message.size());
  return digest;
}

std::string Base32(const Digest& d, size_t chars) {
  constexpr std::string_view kAlphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";  // RFC 4648 section 6
  std::string s;
  for (size_t bit = 0; s.size() < chars; bit += 5) {
    const size_t i = bit / 8;
    const unsigned two = unsigned(d[i]) << 8 | (i + 1 < d.size() ? d[i + 1] : 0u);
    s += kAlphabet[two >> (11 - bit % 8) & 31];
  }
  return s;
}

}  // namespace

std::string KeyId(const Secret& key) { return Base32(Hmac(key, "key-id", ""), 6); }

std::string PanToken(const Masker::Impl& impl, std::string_view digits) {
  return "pan_" + impl.key_id + "_" + Base32(Hmac(impl.key, "pan-token", digits), 26);
}

std::string NumericSurrogate(const Masker::Impl& impl, std::string_view digits) {
  const Digest d = Hmac(impl.key, "pan-surrogate", digits);
  std::string s = "7";
  for (size_t i = 1; i < digits.size(); i++)
    s += char('0' + (d[i % d.size()] * 256 + d[(i + 16) % d.size()]) % 10);
  std::array<uint8_t, 24> v{};
  for (size_t i = 0; i < s.size() && i < v.size(); i++) v[i] = uint8_t(s[i] - '0');
  if (LuhnOk(v.data(), int(s.size()))) s.back() = char('0' + (s.back() - '0' + 1 + d[31] % 9) % 10);
  return s;
}

}  // namespace sallyport::mask
