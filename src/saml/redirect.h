#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "saml/signer.h"

// The HTTP redirect binding (saml-bindings-2.0-os, 3.4): a message in the query of a URL, deflated,
// with the signature beside it.

namespace sallyport::saml {

enum class Kind { request, response };

/// `to` with the message in its query, signed if there is a `signer`. An empty `relay_state` is
/// left out.
std::string RedirectUrl(std::string_view to, Kind kind, const std::string& xml,
                        std::string_view relay_state, const Signer* signer);

/// A message as it came, whose signature is good.
struct Redirected {
  Kind kind = Kind::request;
  std::string deflated;
  std::string relay_state;
};

/// Reads a query as it stood in the URL, still encoded: the signature is over those very octets.
/// token_malformed (something is missing, or occurs twice), alg_refused, token_signature_invalid
/// (not by one of `keys`, SubjectPublicKeyInfo in DER).
Result<Redirected> ReadRedirect(std::string_view query, const std::vector<std::string>& keys);

/// The text of a deflated message; token_malformed: it is none, or longer than `most`.
Result<std::string> Inflate(std::string_view deflated, size_t most);

}  // namespace sallyport::saml
