#pragma once

#include <optional>

#include "base/clock.h"
#include "base/fetch.h"
#include "base/result.h"
#include "credential/config.h"
#include "credential/fetch_seam.h"
#include "credential/material.h"

namespace sallyport::credential {

/// Looks the key up where `keys` says; may block for a request to STS.
///
/// - chain: the first of environment, web identity of the environment (AWS_WEB_IDENTITY_TOKEN_FILE
///   with AWS_ROLE_ARN), the file that AWS_SHARED_CREDENTIALS_FILE names, the container's and the
///   instance's service (aws_metadata.h). Home directories are not searched: whose key it is has to
///   be said.
/// - file: the INI format of the AWS tools; aws_access_key_id, aws_secret_access_key,
///   aws_session_token of the profile. Read again every 30 seconds.
/// - web_identity: AssumeRoleWithWebIdentity (AWS STS API Reference, 2011-06-15), for `duration`.
///
/// upstream_credential_failed, with what is missing or what STS said (its code, never its text).
Result<Material> ObtainAwsKey(const AwsKeys& keys, const std::string& region, const Fetch& fetch,
                              const Clock& clock, std::stop_token stop);

/// What is shown to STS for a key, and what the session is called there.
struct WebIdentity {
  Secret token;
  std::string session_name;  // RoleSessionName
};

/// AssumeRoleWithWebIdentity with the role, session policies and duration of `keys`; blocks.
/// Errors as above.
Result<Material> AssumeRole(const AwsKeys& keys, const std::string& region,
                            const WebIdentity& identity, const Fetch& fetch, const Clock& clock,
                            std::stop_token stop);

/// The key of `profile` in the text of a shared credentials file.
Result<Material> ReadSharedCredentials(std::string_view text, std::string_view profile);

/// "2026-11-22T09:00:00Z", up to the year 2255.
std::optional<Nanos> ReadAwsTime(std::string_view text);

/// The temporary key in STS's answer (XML), its end in `end`. Foreign bytes.
Result<Material> ReadAssumedRole(std::string_view xml, Nanos& end);

}  // namespace sallyport::credential
