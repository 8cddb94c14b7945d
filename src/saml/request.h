#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "saml/signer.h"
#include "saml/verdict.h"

namespace sallyport::saml {

/// This gateway as a service provider.
struct ServiceProvider {
  std::string entity_id;  // also where its metadata is served
  std::string acs;
  std::string logout;              // where messages of single logout come; empty: none do
  const Signer* signer = nullptr;  // null: nothing is signed
};

/// What a provider has to know of us (saml-metadata-2.0-os): one assertion consumer with the POST
/// binding, signed assertions wanted; our key, and single logout with the redirect and the POST
/// binding.
std::string MetadataOf(const ServiceProvider& us);

/// Where a browser goes to sign in: an AuthnRequest with the redirect binding
/// (saml-bindings-2.0-os, 3.4), signed where `idp` wants that. `id` is ours, an XML name;
/// `relay_state` comes back with the answer. `fresh`: the provider has to ask the person, whatever
/// session they have there (ForceAuthn).
std::string RequestUrl(const ServiceProvider& us, const Metadata& idp, std::string_view id,
                       Nanos now, bool fresh, std::string_view relay_state);

/// Where a browser goes to end the session at the provider too (saml-profiles-2.0-os, 4.4): a
/// signed LogoutRequest. `who` as the assertion had it.
std::string LogoutUrl(const ServiceProvider& us, const Metadata& idp, std::string_view id,
                      Nanos now, const NameId& who, std::string_view session_index);

/// Where a browser goes with our signed answer to the provider's LogoutRequest `request_id`.
std::string LogoutAnswerUrl(const ServiceProvider& us, const Metadata& idp, std::string_view id,
                            Nanos now, std::string_view request_id, std::string_view relay_state);

}  // namespace sallyport::saml
