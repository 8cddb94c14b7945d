#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace sallyport::ledger {

/// SHA-256, as RFC 6962 section 2.1 uses it for leaves and nodes.
using Hash = std::array<uint8_t, 32>;

Hash Sha256(std::string_view bytes);
Hash LeafHash(std::string_view entry);               // H(0x00 ‖ entry)
Hash NodeHash(const Hash& left, const Hash& right);  // H(0x01 ‖ left ‖ right)
Hash EmptyRoot();                                    // H("")

/// One hash of a tile: the root of the perfect subtree of 256^level leaves that starts at
/// index·256^level.
struct TileHash {
  uint8_t level;
  uint64_t index;
  Hash hash;
};

/// The right edge of a growing tree: as much as is needed to extend it and to know its root. Not
/// thread-safe.
class Frontier {
 public:
  Frontier() = default;
  /// `peaks`: roots of the perfect subtrees of `size` from left to right.
  Frontier(uint64_t size, std::vector<Hash> peaks) : size_(size), peaks_(std::move(peaks)) {}

  /// Adds a leaf; appends to `tiles`, if given, each tile hash that this completes (level 0 first).
  void Append(const Hash& leaf, std::vector<TileHash>* tiles = nullptr);
  uint64_t size() const { return size_; }
  Hash Root() const;

 private:
  uint64_t size_ = 0;
  std::vector<Hash> peaks_;
};

/// Gives the root of the perfect subtree of 2^height leaves that starts at leaf index·2^height.
using SubtreeReader = std::function<Result<Hash>(unsigned height, uint64_t index)>;

/// Root of the first `size` leaves.
Result<Hash> RootAt(uint64_t size, const SubtreeReader& read);

/// RFC 6962 section 2.1.1, from the leaf's sibling up to the child of the root. REQUIRES index <
/// size.
Result<std::vector<Hash>> InclusionProof(uint64_t index, uint64_t size, const SubtreeReader& read);
/// RFC 6962 section 2.1.2. REQUIRES old_size <= size. Empty if old_size is 0 or equals size.
Result<std::vector<Hash>> ConsistencyProof(uint64_t old_size, uint64_t size,
                                           const SubtreeReader& read);

/// RFC 9162 sections 2.1.3.2 and 2.1.4.2.
bool VerifyInclusion(const Hash& leaf, uint64_t index, uint64_t size,
                     const std::vector<Hash>& proof, const Hash& root);
bool VerifyConsistency(uint64_t old_size, const Hash& old_root, uint64_t size, const Hash& root,
                       const std::vector<Hash>& proof);

}  // namespace sallyport::ledger
