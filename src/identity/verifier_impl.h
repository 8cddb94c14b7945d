#pragma once

// What the parts of TokenVerifier share; internal to identity/.

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "identity/dpop.h"
#include "identity/inquiry.h"
#include "identity/issuer.h"
#include "identity/jws.h"
#include "identity/token_cache.h"
#include "identity/verifier.h"

namespace sallyport::identity {

struct TokenVerifier::Impl {
  struct Provider {
    std::unique_ptr<Issuer> issuer;
    std::unique_ptr<Inquiry> inquiry;  // introspection or token review; null: neither
    std::vector<std::string> known_clients;
    std::vector<AgentConfig> agents;
  };

  const Clock& clock;
  Options options;
  std::map<std::string, Provider, std::less<>> by_issuer;  // `iss` selects here and nowhere else
  TokenCache cache;
  UsedProofs proofs;
  std::vector<AgentConfig> by_certificate;
  std::mutex logouts_mutex;
  std::map<std::string, Nanos> logouts;  // ids of logout tokens seen, until they expire
  /// Tokens that are asked about again and again, as long as somebody holds what was verified: so
  /// that a caller stays the same caller.
  std::mutex held_mutex;
  std::map<TokenDigest, std::weak_ptr<const VerifiedToken>> held;

  Impl(const Clock& c, Options o) : clock(c), options(std::move(o)), cache(options.cache_entries) {}

  Provider* ProviderOf(const Jws& jws) {
    auto iss = jws.claims.root()["iss"].string();
    auto it = iss ? by_issuer.find(*iss) : by_issuer.end();
    return it == by_issuer.end() ? nullptr : &it->second;
  }
  /// The provider that is asked about the opaque token; null: none.
  Provider* AskedAbout(std::string_view token);
  Result<VerifiedPtr> JudgeOpaque(Provider& provider, const TokenDigest& digest,
                                  bool* wants_refresh);
  /// What the inquiry of `provider` has said, or why it has said nothing yet; sets
  /// `*wants_refresh` in that case.
  Result<Inquiry::Answer> AnswerOf(Provider& provider, const TokenDigest& digest,
                                   bool* wants_refresh);
  /// `fresh`, or the equal one that is held already.
  VerifiedPtr Same(const TokenDigest& digest, VerifiedToken fresh);

  struct Signed;
  Result<Signed> ReadSigned(std::string_view token);
};

}  // namespace sallyport::identity
