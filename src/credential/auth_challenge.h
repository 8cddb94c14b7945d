#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace sallyport::credential {

/// What an upstream says with a 401 or 403 (RFC 6750 section 3, RFC 9728 section 5.1). Empty: not
/// said.
struct BearerChallenge {
  std::string error;              // a token of RFC 6750, such as insufficient_scope
  std::string scope;              // scope tokens, single spaces between them
  std::string resource_metadata;  // as it was written; not looked at
};

/// The Bearer challenge of one WWW-Authenticate field (RFC 9110 section 11.6.1), which may hold
/// several of any scheme. nullopt: there is none, the field cannot be read, is longer than 8 KiB,
/// or says something twice. A scope with other bytes than RFC 6749 section 3.3 allows, or longer
/// than 1 KiB, counts as not said.
std::optional<BearerChallenge> ReadBearerChallenge(std::string_view field);

/// Whether all scopes of `asked` are among `held`; both as lists with spaces between.
bool HoldsScopes(std::string_view held, std::string_view asked);
/// Those of `a`, then those of `b` that are not among them.
std::string JoinScopes(std::string_view a, std::string_view b);
/// Whether it is a list of scopes as RFC 6749 section 3.3 has them, of at most 1 KiB; empty is one.
bool IsScope(std::string_view text);

}  // namespace sallyport::credential
