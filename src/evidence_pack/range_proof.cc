#include "evidence_pack/range_proof.h"

#include <bit>
#include <optional>

namespace sallyport::evidence_pack {
namespace {

using ledger::Hash;

/// The largest power of two below `n`.
uint64_t Split(uint64_t n) { return std::bit_floor(n - 1); }

/// Root of leaves [low, high), a subtree of the log.
Result<Hash> Outside(uint64_t low, uint64_t high, const ledger::SubtreeReader& read) {
  const uint64_t n = high - low;
  if (std::has_single_bit(n)) {
    const unsigned height = unsigned(std::countr_zero(n));
    return read(height, low >> height);
  }
  const uint64_t middle = low + Split(n);
  SALLYPORT_TRY(const Hash left, Outside(low, middle, read));
  SALLYPORT_TRY(const Hash right, Outside(middle, high, read));
  return ledger::NodeHash(left, right);
}

struct Range {
  uint64_t first, end;
  bool None(uint64_t low, uint64_t high) const { return high <= first || low >= end; }
  bool All(uint64_t low, uint64_t high) const { return low >= first && high <= end; }
};

Result<> Collect(const Range& range, uint64_t low, uint64_t high, const ledger::SubtreeReader& read,
                 std::vector<Hash>& out) {
  if (range.All(low, high)) return {};
  if (range.None(low, high)) {
    SALLYPORT_TRY(const Hash hash, Outside(low, high, read));
    out.push_back(hash);
    return {};
  }
  const uint64_t middle = low + Split(high - low);
  SALLYPORT_CHECK(Collect(range, low, middle, read, out));
  return Collect(range, middle, high, read, out);
}

struct Rebuild {
  const Range range;
  const std::vector<Hash>& proof;
  const std::function<bool(Hash&)>& next;
  size_t used = 0;

  std::optional<Hash> Root(uint64_t low, uint64_t high) {
    if (range.None(low, high)) {
      if (used >= proof.size()) return std::nullopt;
      return proof[used++];
    }
    if (range.All(low, high)) {
      ledger::Frontier leaves;
      Hash leaf;
      for (uint64_t i = low; i < high; ++i) {
        if (!next(leaf)) return std::nullopt;
        leaves.Append(leaf);
      }
      return leaves.Root();
    }
    const uint64_t middle = low + Split(high - low);
    const auto left = Root(low, middle);
    if (!left) return std::nullopt;
    const auto right = Root(middle, high);
    if (!right) return std::nullopt;
    return ledger::NodeHash(*left, *right);
  }
};

}  // namespace

Result<std::vector<Hash>> RangeProof(uint64_t first, uint64_t end, uint64_t size,
                                     const ledger::SubtreeReader& read) {
  std::vector<Hash> out;
  SALLYPORT_CHECK(Collect({first, end}, 0, size, read, out));
  return out;
}

std::optional<Hash> RootOfRange(uint64_t first, uint64_t end, uint64_t size,
                                const std::vector<Hash>& proof,
                                const std::function<bool(Hash&)>& next) {
  if (first >= end || end > size) return std::nullopt;
  Rebuild rebuild{{first, end}, proof, next};
  const auto root = rebuild.Root(0, size);
  if (rebuild.used != proof.size()) return std::nullopt;
  return root;
}

}  // namespace sallyport::evidence_pack
