#pragma once

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "mask/masker.h"

namespace sallyport::evidence_pack {

/// The last look at everything that goes into a pack: card numbers and sensitive authentication
/// data, by the detectors `pan` and `sad` of the product, whatever the configuration says. Not
/// thread-safe.
class PackScan {
 public:
  static Result<PackScan> Make();

  /// Texts that are random and may hold such digits by chance: digests that this pack has computed.
  /// They are passed over where they stand whole.
  void Know(const std::string& digest) { digests_.insert(digest); }

  /// One text, or a piece of one that ends at a line. `where` names it in a finding.
  void Look(const std::string& where, std::string_view text);

  uint64_t bytes() const { return bytes_; }
  uint64_t pan() const { return pan_; }
  uint64_t sad() const { return sad_; }
  /// Where the first finding is: file and line, never what it is.
  const std::string& first() const { return first_; }

 private:
  PackScan() = default;
  std::shared_ptr<const mask::Masker> masker_;
  std::set<std::string> digests_;
  std::vector<mask::Finding> findings_;
  uint64_t bytes_ = 0, pan_ = 0, sad_ = 0;
  std::string first_;
};

}  // namespace sallyport::evidence_pack
