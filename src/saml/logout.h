#pragma once

#include <string_view>

#include "base/result.h"
#include "saml/verdict.h"

namespace sallyport::saml {

/// Reads a LogoutRequest or LogoutResponse (saml-core-2.0-os, 3.7). It has to be signed by one of
/// `expected.keys` and is read only from the bytes that were, or, with `expected.signed_beside`,
/// whoever calls has checked the signature beside it (saml/redirect.h). It has to be from the
/// provider, for this place, of the last five minutes. Runs in the worker only. Errors as
/// VerifyResponse.
Result<Logout> ReadLogout(std::string_view xml, const LogoutExpected& expected);

}  // namespace sallyport::saml
