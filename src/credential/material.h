#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/secret.h"

namespace sallyport::credential {

/// What a source hands out: a token (`secret`), or an AWS key.
struct Material {
  std::string id;         // of an AWS key
  Secret secret;          // the token, or the AWS secret key
  Secret session_token;   // of a temporary AWS key
  Nanos obtained_at = 0;  // wall
  Nanos renew_at = 0;     // wall; from here on a new one is fetched beside its use; 0: never
  Nanos unusable_at = 0;  // wall; from here on it is not used; 0: never
};
using MaterialPtr = std::shared_ptr<const Material>;

/// Sets the times of something that was obtained at `now` and ends at `end`: renewed 5 minutes
/// before (a quarter of its life, if that is less), not used in its last 10 seconds (a tenth).
void SetTimes(Material& material, Nanos now, Nanos end);

}  // namespace sallyport::credential
