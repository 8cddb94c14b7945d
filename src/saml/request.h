#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"

namespace sallyport::saml {

/// This gateway as a service provider.
struct ServiceProvider {
  std::string entity_id;  // also where its metadata is served
  std::string acs;
};

/// What a provider has to know of us (saml-metadata-2.0-os): one assertion consumer with the POST
/// binding, signed assertions wanted.
std::string MetadataOf(const ServiceProvider& us);

/// Where a browser goes to sign in: an AuthnRequest with the redirect binding
/// (saml-bindings-2.0-os, 3.4). `id` is ours, an XML name; `relay_state` comes back with the
/// answer. `fresh`: the provider has to ask the person, whatever session they have there
/// (ForceAuthn).
std::string RequestUrl(const ServiceProvider& us, std::string_view sso_url, std::string_view id,
                       Nanos now, bool fresh, std::string_view relay_state);

}  // namespace sallyport::saml
