#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "json/document.h"

namespace sallyport::identity {

/// The groups a token states. An incomplete set is never an empty set: policy denies with
/// identity-incomplete.
struct Groups {
  std::vector<std::string> names;
  bool complete = true;
  std::string why;  // of incompleteness, for people
};

/// The claim of that name; if there is none and the name has dots, the member at that path. A claim
/// with a dotted name of its own ("https://example.com/groups", "kubernetes.io") wins over a path,
/// the longest first.
json::Value FindClaim(json::Value claims, std::string_view name);

/// Reads the groups from the claim `name`. A single string is one group; a claim that is absent is
/// the complete, empty set (the issuer says nothing, and a rule for a group cannot match).
///
/// Incomplete: the claim is moved out of the token (`_claim_names`, OpenID Connect Core 5.6.2;
/// Entra does so above 200 groups), `hasgroups` (Entra, implicit flow), a list of `cut_at` or more
/// (Okta cuts at 100 and does not say so; 0 = no such limit), or a claim that is not a list of
/// short texts.
Groups ReadGroups(json::Value claims, std::string_view name, size_t cut_at);

}  // namespace sallyport::identity
