#pragma once

#include <string_view>

#include "base/result.h"
#include "saml/verdict.h"

namespace sallyport::saml {

/// Reads what an identity provider says of itself: one EntityDescriptor with one IDPSSODescriptor
/// for SAML 2.0, a SingleSignOnService with the redirect binding (https, or http on loopback), and
/// the certificates that sign. Several certificates are how a provider changes its key: while both
/// stand there, both count. A signature in the metadata is not looked at: the file is trusted
/// because the operator put it there. token_malformed, token_expired (validUntil),
/// token_key_unknown (no usable key). Source: saml-metadata-2.0-os.
Result<Metadata> ReadMetadata(std::string_view xml, Nanos now);

}  // namespace sallyport::saml
