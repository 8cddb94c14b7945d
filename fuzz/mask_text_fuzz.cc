#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "mask/corpus_format.h"
#include "mask/masker.h"
#include "mask/scan_blocks.h"
#include "mask/sql_row.h"
#include "mask/text_stream.h"

// Any bytes as text: masking is idempotent, leaves nothing to find, and gives the same bytes
// however the text is cut.

namespace {

using namespace sallyport;
using namespace sallyport::mask;

const std::shared_ptr<const Masker>& TestMasker() {
  static const auto masker = *Masker::Make(DefaultDetectors(), Secret("0123456789abcdef"));
  return masker;
}

std::string Mask(std::string_view text, std::vector<Finding>& findings) {
  std::string out;
  Tally tally;
  return TestMasker()->MaskText(text, {}, out, tally, findings) ? out : std::string(text);
}

void Check(bool ok) {
  if (!ok) std::abort();
}

/// Every instruction set makes the same of a text.
void KernelsAgree(std::string_view text) {
  static BlockBatch want, got;
  const auto sift = [&](BlockBatch& b, BlockKernel kernel) {
    b = {};
    SiftBlocks(text.data(), text.size(), b, kernel);
  };
  sift(want, BlockKernel::sse);
  for (BlockKernel kernel : {BlockKernel::avx2, BlockKernel::avx512}) {
    if (!Supports(kernel)) continue;
    sift(got, kernel);
    Check(std::memcmp(&got, &want, sizeof got) == 0);
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 3) return 0;
  const size_t a = data[0], b = data[1];
  const std::string_view text(reinterpret_cast<const char*>(data) + 2, size - 2);

  std::vector<Finding> findings, again;
  const std::string masked = Mask(text, findings);
  for (const Finding& f : findings) Check(f.begin < f.end && f.end <= text.size());
  const std::string twice = Mask(masked, again);
  Check(twice == masked && again.empty());

  TextStream stream(TestMasker(), {});
  std::string out;
  const size_t step = 1 + a % 40;
  for (size_t at = 0, n = b; at < text.size(); at += n, n = step) {
    n = std::min(std::max<size_t>(n, 1), text.size() - at);
    stream.Feed(text.substr(at, n), out);
  }
  stream.Finish(out);
  Check(out == masked);

  KernelsAgree(text.substr(0, BlockBatch::kBlocks * 64));
  (void)MaskRecord(*TestMasker(), TextFormat::sql_row, text);
  return 0;
}
