#pragma once

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "evidence_pack/pack.h"
#include "ledger/tree.h"

namespace sallyport::evidence_pack {

/// The first line of integrity/range.
inline constexpr std::string_view kRangeHeader = "sallyport evidence pack range v1";

/// The part of a pack that ties its rows to the log: the signed head, the hash of every entry of
/// the period, the proof that these stand in the log of that head, the head that witnesses have
/// cosigned with the proof that the log only grew since, and sampled entries whole. Not
/// thread-safe.
class Integrity {
 public:
  /// `cosigned`: a note, or empty.
  Integrity(std::filesystem::path data_dir, Pack& pack, std::string note, std::string cosigned);

  /// Every entry of the log in order.
  void Leaf(const ledger::Hash& leaf) { tree_.Append(leaf); }
  /// Entry `index` is of the period, or a row of the pack is about it.
  void Inside(uint64_t index) {
    if (!first_ || index < *first_) first_ = index;
    last_ = std::max(last_, index);
  }

  /// That the entries that were read are the ones that the head signs. token_signature_invalid.
  Result<> CheckRoot() const;
  /// Writes the files. REQUIRES at least one entry of the period.
  Result<> Finish(const std::string& seed, uint64_t samples);

 private:
  Result<> WriteLeaves();
  Result<> WriteProofs();
  Result<> WriteSamples(const std::string& seed, uint64_t count);

  std::filesystem::path data_dir_;
  Pack& pack_;
  std::string note_, cosigned_;
  ledger::Frontier tree_;
  std::optional<uint64_t> first_;
  uint64_t last_ = 0;
};

}  // namespace sallyport::evidence_pack
