#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "mask/corpus_format.h"
#include "mask/json_scan.h"
#include "mask/masker.h"

// Any bytes as JSON: what is accepted comes out as JSON, masking is idempotent and leaves nothing
// to find.

namespace {

using namespace sallyport;
using namespace sallyport::mask;

const std::shared_ptr<const Masker>& TestMasker() {
  static const auto masker = *Masker::Make(DefaultDetectors(), Secret("0123456789abcdef"));
  return masker;
}

void Check(bool ok) {
  if (!ok) std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  JsonOptions options;
  options.numbers = NumberPolicy(data[0] % 3);
  const std::string_view json(reinterpret_cast<const char*>(data) + 1, size - 1);
  std::string out;
  Tally tally;
  std::vector<Finding> findings;
  const auto changed = TestMasker()->MaskJson(json, options, out, tally, &findings);
  if (!changed) {
    Check(changed.error().code == Errc::mask_failed && out.empty());
    return 0;
  }
  Check(*changed == !findings.empty());
  if (!*changed) return 0;
  for (const Finding& f : findings) Check(f.begin < f.end && f.end <= json.size());
  std::vector<JsonNode> nodes;
  Check(ScanJson(out, options.max_depth, nodes));
  std::string twice;
  const auto again = TestMasker()->MaskJson(out, options, twice, tally);
  Check(again && !*again);
  return 0;
}
