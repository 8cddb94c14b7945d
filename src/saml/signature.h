#pragma once

#include <string>
#include <vector>

#include "saml/xml.h"

namespace sallyport::saml {

/// What libxml2, libxmlsec1 and OpenSSL set up once for a process. Call it before a sandbox closes:
/// afterwards no file is opened. False: the libraries do not work.
bool SetUpXmlSecurity();

/// Verifies the enveloped signature that stands directly in `element` and returns the bytes that
/// were digested: the canonical form of `element` without that signature. Whoever reads on reads
/// these and nothing else.
///
/// Exactly one Reference, to the ID of `element`; exactly the transforms enveloped-signature and
/// exclusive canonicalisation; no Object; SHA-256, -384 or -512 with RSA or ECDSA. Keys are only
/// `keys` (SubjectPublicKeyInfo, DER): what KeyInfo says is not looked at.
///
/// token_malformed (shape), token_alg_refused, token_signature_invalid.
/// Source: XML Signature 1.1; saml-core-2.0-os, 5.4.
Result<std::string> SignedBytes(const DocPtr& doc, xmlNode* element,
                                const std::vector<std::string>& keys);

}  // namespace sallyport::saml
