#pragma once

#include <string_view>

#include "base/result.h"
#include "saml/verdict.h"

namespace sallyport::saml {

/// Verifies a SAML 2.0 response of the web browser SSO profile with the POST binding, as an answer
/// to one request of ours. What is returned was read from the bytes that the signature covers.
///
/// Strict where the specification lets a service provider choose: one Assertion, a direct child of
/// Response, unencrypted; the signature stands in the assertion, or in the response, or in both
/// (then both have to be good); InResponseTo, Destination, Recipient, Audience and the times are
/// required; a transient NameID is refused, as nobody could be known again by it.
///
/// token_malformed, token_alg_refused, token_signature_invalid, token_issuer_unknown,
/// token_audience_wrong, token_expired, token_not_yet_valid, state_invalid (answers another
/// request, or none), token_claims_invalid, cancelled (the provider says no). Never throws. Not for
/// a process that holds secrets: saml/worker.h. Source: saml-profiles-2.0-os 4.1.4;
/// saml-core-2.0-os; "On Breaking SAML" (USENIX Security 2012).
Result<Assertion> VerifyResponse(std::string_view xml, const Expected& expected);

}  // namespace sallyport::saml
