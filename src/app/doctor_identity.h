#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "app/doctor_findings.h"
#include "config/schema.h"

// What `doctor identity` looks at; each gives findings in the order in which they were made.

namespace sallyport::app {

/// How far the provider's clock is ahead of ours, where one was seen.
struct ClockSeen {
  std::optional<int64_t> ahead_seconds;
};

/// An OpenID Connect provider as the gate reaches it: discovery, keys, clock, our registration.
/// `unreachable` is set where there was no answer.
std::vector<Finding> LookAtProvider(const config::Root& root,
                                    const identity::ProviderConfig& provider, ClockSeen& clock,
                                    bool& unreachable);

/// A SAML provider: its metadata, and with `response` (XML, or base64 of it) whether that could be
/// an answer of it to us.
std::vector<Finding> LookAtSaml(const config::Root& root, const config::SamlProvider& provider,
                                const std::string& response);

/// A bearer token, judged as the gate would at `connection` (empty: anywhere). No byte of its
/// signature is printed. `refused` is set where the gate would not take it.
std::vector<Finding> LookAtToken(const config::Root& root, const std::string& token,
                                 const std::string& connection, const ClockSeen& clock,
                                 bool& refused);

/// True if the two differ in nothing but slashes at the end, the case of the host, or the scheme.
bool SameButSpelling(std::string_view a, std::string_view b);

}  // namespace sallyport::app
