#pragma once

#include "approval/passkey.h"
#include "json/document.h"

namespace sallyport::api {

/// The members of an assertion as a page sends it; request_malformed.
Result<approval::Assertion> ReadAssertion(json::Value value);

}  // namespace sallyport::api
