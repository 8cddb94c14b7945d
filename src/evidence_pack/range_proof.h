#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <vector>

#include "base/result.h"
#include "ledger/tree.h"

namespace sallyport::evidence_pack {

/// Proves that consecutive leaves [first, end) stand in a log of `size` leaves: the hashes of the
/// subtrees of RFC 6962 section 2.1 that hold none of them, from left to right. With the leaves
/// themselves they give the root. REQUIRES first < end <= size.
Result<std::vector<ledger::Hash>> RangeProof(uint64_t first, uint64_t end, uint64_t size,
                                             const ledger::SubtreeReader& read);

/// The root that leaves and proof give; `next` gives the leaves in order. nullopt: not as many
/// hashes as there have to be, or `next` had none.
std::optional<ledger::Hash> RootOfRange(uint64_t first, uint64_t end, uint64_t size,
                                        const std::vector<ledger::Hash>& proof,
                                        const std::function<bool(ledger::Hash&)>& next);

}  // namespace sallyport::evidence_pack
