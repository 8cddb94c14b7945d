#pragma once

#include <string>
#include <string_view>

namespace sallyport::saml {

/// A key that may sign: RSA of 2048 to 8192 bits, ECDSA on P-256, P-384 or P-521. `spki`: DER.
bool IsUsableKey(std::string_view spki);

/// The SubjectPublicKeyInfo (DER) of a certificate (DER); empty: not a certificate, or its key is
/// not usable. The dates of the certificate do not count: the metadata it stands in is what is
/// trusted (saml-metadata-iop-os, 2.6.1).
std::string KeyOfCertificate(std::string_view der);

}  // namespace sallyport::saml
