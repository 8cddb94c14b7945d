#pragma once

#include <string>

#include "base/clock.h"

namespace sallyport {

/// The certificate by which a client has proved itself in the TLS handshake: its chain leads to a configured
/// authority, it is in its time, and the client has its key.
struct ClientCertificate {
  std::string thumbprint;  // SHA-256 of the DER, base64url: x5t#S256 (RFC 8705 section 3.1)
  std::string sha256;      // the same in hex, as tools print it, lower case and without colons
  /// The SPIFFE ID of an X.509-SVID: the URI of its subjectAltName, if there is exactly one URI. Else empty.
  std::string spiffe_id;
  Nanos not_before = 0, not_after = 0;
};

}  // namespace sallyport
