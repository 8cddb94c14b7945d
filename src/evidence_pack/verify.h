#pragma once

#include <cstdint>
#include <filesystem>
#include <string>

#include "base/result.h"
#include "evidence_pack/zip.h"

namespace sallyport::evidence_pack {

struct VerifyPackReport {
  std::string origin, period, fingerprint, evidenced;
  uint64_t files = 0, entries = 0, rows = 0, samples = 0;
  uint64_t log_size = 0, cosigned_size = 0;
};

/// Checks everything that a pack says of itself, in this order: the form of the archive; the
/// signature over the manifest; that the manifest's files are there and no other; each digest; the
/// log's signature; that the leaves of the period stand in that log; the cosigned head; each
/// sample; that the leaf of each row is that of the entry it names. Stops at the first broken item.
///
/// not_found, io_failed: cannot be read. request_malformed, token_signature_invalid: broken, the
/// detail begins with the item. The signature is by the key in the pack: whose that is says its
/// fingerprint, which has to be `fingerprint` if that is not empty.
Result<VerifyPackReport> VerifyPack(const ZipReader& pack, const std::string& fingerprint);

}  // namespace sallyport::evidence_pack
