#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <list>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>
#include <unordered_map>

#include "access/digest.h"
#include "base/clock.h"
#include "identity/issuer.h"
#include "identity/verified_token.h"

namespace sallyport::identity {

/// What the cache knows a token by, so that it holds none.
using access::DigestToken;
using access::TokenDigest;

/// Tokens that passed, so that the signature is checked once. Bounded; the one not used longest
/// goes first. An entry dies with the token's lifetime and with its key: when the issuer's keys
/// change, it is kept only if the same key is still there. Thread-safe; 16 independent parts.
class TokenCache {
 public:
  explicit TokenCache(size_t max_entries);

  /// The token if all that was checked still holds at `now`, else null.
  VerifiedPtr Find(const TokenDigest& digest, Nanos now);

  struct Origin {
    Issuer* issuer = nullptr;  // outlives the cache; null: of a session
    std::string kid;
    std::string thumbprint;
    uint64_t generation = 0;
    Nanos valid_from = 0;
    Nanos valid_until = 0;
  };
  void Insert(const TokenDigest& digest, VerifiedPtr token, Origin origin);

  void Clear();
  size_t size() const;

 private:
  struct Entry {
    TokenDigest digest;
    VerifiedPtr token;
    Origin origin;
    std::atomic<uint64_t> generation;
    Entry(const TokenDigest& d, VerifiedPtr t, Origin o)
        : digest(d), token(std::move(t)), origin(std::move(o)), generation(origin.generation) {}
  };
  struct Part {
    mutable std::mutex mu;
    std::list<Entry> recent;  // most recently used first
    std::unordered_map<TokenDigest, std::list<Entry>::iterator, access::TokenDigestHash> index;
  };
  static constexpr size_t kParts = 16;
  Part& PartOf(const TokenDigest& digest) { return parts_[digest[0] % kParts]; }

  const size_t max_per_part_;
  std::array<Part, kParts> parts_;
};

}  // namespace sallyport::identity
