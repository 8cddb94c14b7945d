#pragma once

#include <string>
#include <string_view>

#include "base/client_certificate.h"
#include "base/result.h"

namespace sallyport::identity {

/// What a request shows of its caller, as it came. Views; they outlive whoever judges it.
struct Shown {
  std::string_view authorization;  // of the one field
  size_t proofs = 0;               // how many DPoP fields there are
  std::string_view proof;          // of the first one
  std::string_view method;
  std::string url;                                 // as the caller sees it
  const ClientCertificate* certificate = nullptr;  // of the connection; null: none
};

/// What an Authorization field holds.
struct Credential {
  std::string_view token;
  bool dpop = false;
};

/// Reads `Bearer …` or `DPoP …` (RFC 6750 section 2.1, RFC 9449 section 7.1); schemes in any case.
/// token_malformed: another scheme.
Result<Credential> ReadAuthorization(std::string_view field);

}  // namespace sallyport::identity
