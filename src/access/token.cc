#include "access/token.h"

#include "access/digest.h"
#include "base/bytes.h"
#include "base/ids.h"

namespace sallyport::access {
namespace {

std::string Checksum(std::string_view body) {
  const TokenDigest digest = DigestToken(body);
  return Base64UrlEncode(ByteView(digest).first(4));
}

}  // namespace

std::string NewToken() {
  std::string token(kTokenPrefix);
  token += NewHandle(32);
  return token + Checksum(token);
}

bool WellFormed(std::string_view token) {
  if (token.size() != kTokenSize || !IsSessionToken(token)) return false;
  const std::string_view body = token.substr(0, kTokenSize - 6);
  return Base64UrlDecode(body.substr(kTokenPrefix.size())) &&
         token.substr(body.size()) == Checksum(body);
}

}  // namespace sallyport::access
