#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"

namespace sallyport::approval {

/// The algorithms of a passkey (COSE, RFC 9053), in the order in which a browser is asked for them.
enum class PasskeyAlgorithm : int32_t { es256 = -7, eddsa = -8, rs256 = -257 };

/// Who takes part in a WebAuthn ceremony: the one origin of the gate and its host name (WebAuthn
/// Level 2, section 5.1.2: the relying party is the effective domain of the origin).
struct RelyingParty {
  std::string
      origin;      // "https://gate.example.com", as a browser writes it: no path, no default port
  std::string id;  // "gate.example.com"
};

/// The relying party of a gate that is reached at `public_url`. config_invalid for what is no
/// http(s) URL, and for an IP address, which no browser takes as a relying party.
Result<RelyingParty> RelyingPartyOf(std::string_view public_url);

/// What a person proves with: the public half of a key in an authenticator. All of it may be shown.
struct Passkey {
  std::string id;  // of the credential, base64url
  PasskeyAlgorithm algorithm = PasskeyAlgorithm::es256;
  std::string public_key;   // SubjectPublicKeyInfo (RFC 5280), DER, base64url
  uint32_t sign_count = 0;  // highest seen; 0 for passkeys that are synchronised between devices
  std::string name;         // what its owner calls it
  Nanos created = 0;
  Nanos used = 0;      // last signature that counted; 0: none yet
  uint64_t entry = 0;  // log index of its passkey.registered entry
};

/// What the page sends of a registration (WebAuthn section 7.1): the client data and the
/// authenticator data, base64url as the browser gave them. Attestation is not asked for ("none"):
/// that a key was registered is vouched for by the session that registered it, not by the
/// authenticator's maker.
struct Registration {
  std::string client_data, authenticator_data;
};

/// Checks a registration for the challenge (base64url) that the gate gave out: type, challenge,
/// origin, relying party, user present and verified, credential data complete, algorithm known.
/// passkey_invalid says which of these failed. Thread-safe.
Result<Passkey> VerifyRegistration(const Registration& registration, const RelyingParty& party,
                                   std::string_view challenge);

/// What the page sends of an assertion (WebAuthn section 7.2); all base64url.
struct Assertion {
  std::string credential, client_data, authenticator_data, signature;
};

/// The challenge, base64url, of a vote: SHA-256 over
///   "sallyport-approval-v1\n" digest "\n" decision "\n"
/// where digest is the request's binding digest in hexadecimal (it covers the request's id, so that
/// no two requests share one) and decision is "approve" or "deny". docs/formats/approval.md.
std::string VoteChallenge(std::string_view digest, bool approve);

/// Checks an assertion: the credential is `key`'s, type, challenge, origin (not in a frame of
/// another origin), relying party, user present and verified, signature, and a signature counter
/// that has moved where the authenticator keeps one (it stands still in a copy). Gives the new
/// counter. passkey_invalid says which of these failed. Thread-safe; takes about 0.1 ms.
Result<uint32_t> VerifyAssertion(const Assertion& assertion, const Passkey& key,
                                 const RelyingParty& party, std::string_view challenge);

/// The proof as it stands in approval.decided: a JSON object with the assertion, the public key and
/// the relying party: everything an outsider needs beside the digest and the decision of the entry.
std::string ProofJson(const Assertion& assertion, const Passkey& key, const RelyingParty& party);

/// What CheckProof found.
struct CheckedProof {
  std::string credential, origin;
  uint64_t registered = 0;  // log index of the entry that says whose key it is
  std::string public_key;
};

/// Checks a proof out of a log against the digest and the decision of its entry, without any state
/// but the proof itself (so not the counter). passkey_invalid, request_malformed.
Result<CheckedProof> CheckProof(std::string_view proof_json, std::string_view digest, bool approve);

}  // namespace sallyport::approval
