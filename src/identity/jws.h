#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "identity/jwk.h"
#include "json/document.h"

namespace sallyport::identity {

inline constexpr size_t kMaxTokenBytes = 16 * 1024;

/// A compact JWS (RFC 7515 section 7.1) that is well formed and NOT verified. Views the token's
/// text, which must outlive it.
struct Jws {
  Alg alg = Alg::rs256;
  std::string kid;  // empty if the header has none
  std::string typ;  // lower case, without "application/"; empty if the header has none
  std::string_view signing_input;
  std::vector<uint8_t> signature;
  json::Document header;
  json::Document claims;

  std::vector<uint8_t> header_bytes;  // what the documents view; a move keeps them in place
  std::vector<uint8_t> claims_bytes;
};

/// A DPoP proof, and nothing else, carries the key that it is checked with: `required` is for it
/// alone, and wants a `jwk` that is an object.
enum class HeaderKey { refused, required };

/// Reads `token` strictly: at most 16 KiB, exactly three non-empty segments of unpadded base64url
/// without stray bits, header and claims strict JSON objects without duplicate keys. Refused
/// whatever the class: crit, b64, zip, jku, jwk, x5u, x5c in the header (RFC 8725
/// sections 3.4, 3.10).
///
/// token_malformed, or token_alg_refused if `alg` is not the exact name of a supported algorithm
/// ("none" in any spelling, HMACs, a list …). The detail holds no bytes of the token.
Result<Jws> ParseJws(std::string_view token, HeaderKey key = HeaderKey::refused);

/// Whether `key` made the signature. The key's algorithm is used, never the token's;
/// token_alg_refused if the token names another one, else token_signature_invalid. Thread-safe.
Result<> VerifySignature(const Jws& jws, const Key& key);

}  // namespace sallyport::identity
