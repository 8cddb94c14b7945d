#pragma once

#include <string_view>

#include "base/clock.h"
#include "credential/fetch_seam.h"
#include "credential/material.h"

// Keys that AWS's compute services hand to what runs on them. Nothing of it is configured: the
// environment says where they are.

namespace sallyport::credential {

/// Whether AWS_CONTAINER_CREDENTIALS_FULL_URI or _RELATIVE_URI is set (ECS, EKS Pod Identity).
bool HasContainerKeys();

/// The key of the container's role (AWS SDKs and Tools Reference Guide, "Container credential
/// provider"), with the token of AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE, read again each time, or
/// AWS_CONTAINER_AUTHORIZATION_TOKEN. Plain HTTP goes to loopback and to the addresses that AWS
/// gives this service only. Blocks. upstream_credential_failed.
Result<Material> KeyOfContainer(const Fetch& fetch, const Clock& clock, std::stop_token stop);

/// The key of the instance's role (Amazon EC2 User Guide, "Instance Metadata Service Version 2").
/// Always with a session token: version 1 is not spoken. AWS_EC2_METADATA_DISABLED=true: not asked;
/// AWS_EC2_METADATA_SERVICE_ENDPOINT: another place, as above. Blocks for at most 3 s.
/// upstream_credential_failed.
Result<Material> KeyOfInstance(const Fetch& fetch, const Clock& clock, std::stop_token stop);

/// The key in an answer of either service (JSON), its end in `end`. Foreign bytes.
Result<Material> ReadMetadataKey(std::string_view text, Nanos& end);

}  // namespace sallyport::credential
