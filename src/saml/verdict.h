#pragma once

#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "base/clock.h"

// What goes into the check of a SAML response and what comes out of it: plain values, known to both
// sides of the wall (src/saml/worker.h).

namespace sallyport::saml {

/// What a response has to match to count.
struct Expected {
  std::string issuer;             // entityID of the provider that was asked
  std::vector<std::string> keys;  // its keys: SubjectPublicKeyInfo, DER
  std::string audience;           // our own entityID
  std::string acs;                // the URL that the response was posted to
  std::string request_id;         // ID of our AuthnRequest
  Nanos now = 0;                  // wall
  std::chrono::seconds skew{60};
};

/// A NameID (saml-core-2.0-os, 2.2.3); the attributes are empty where they are not there.
struct NameId {
  std::string value, format, qualifier, sp_qualifier;
};

/// What a verified assertion says. Everything was read from bytes that a key of the provider has
/// signed.
struct Assertion {
  std::string id;
  std::string issuer;
  NameId name_id;
  std::string session_index;                                   // empty: none
  std::string context;                                         // AuthnContextClassRef, or empty
  Nanos authenticated_at = 0;                                  // AuthnInstant
  Nanos session_until = 0;                                     // SessionNotOnOrAfter; 0: not said
  Nanos until = 0;                                             // after this it is refused anyway
  std::map<std::string, std::vector<std::string>> attributes;  // by Name
};

/// What is used of a provider's metadata.
struct Metadata {
  std::string entity_id;
  std::string sso_url;  // SingleSignOnService with the redirect binding
  /// SingleLogoutService with the redirect binding, and its ResponseLocation; empty: none.
  std::string logout_url, logout_answer_url;
  bool wants_signed_requests = false;
  std::vector<std::string> keys;  // SubjectPublicKeyInfo, DER: all that sign now or will next
};

/// What a message of single logout has to match to count.
struct LogoutExpected {
  std::string issuer;             // entityID of the provider
  std::vector<std::string> keys;  // its keys, for a message that is signed itself
  bool signed_beside = false;     // the signature stood beside the message and is good
  std::string destination;        // where it came
  Nanos now = 0;                  // wall
  std::chrono::seconds skew{60};
};

/// A message of single logout.
struct Logout {
  bool request = false;  // else an answer to ours
  std::string id;
  std::string name_id;                // of a request: who
  std::vector<std::string> sessions;  // their SessionIndexes; empty: all of them
  std::string in_response_to;         // of an answer
  bool success = false;               // of an answer: all other services have ended theirs too
};

inline constexpr size_t kMostResponse = 256 << 10;  // bytes of XML
inline constexpr size_t kMostLogout = 64 << 10;
inline constexpr size_t kMostMetadata = 1 << 20;

}  // namespace sallyport::saml
