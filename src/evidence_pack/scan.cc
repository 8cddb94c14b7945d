#include "evidence_pack/scan.h"

#include "base/ids.h"

namespace sallyport::evidence_pack {
namespace {

bool IsHex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f'); }

}  // namespace

Result<PackScan> PackScan::Make() {
  const std::vector<mask::DetectorSpec> detectors{{.name = "pan", .kind = mask::DetectorKind::pan},
                                                  {.name = "sad", .kind = mask::DetectorKind::sad}};
  PackScan out;
  // The key is of no use: nothing that is found is rendered.
  SALLYPORT_TRY(out.masker_, mask::Masker::Make(detectors, Secret(NewHandle(32))));
  return out;
}

void PackScan::Look(const std::string& where, std::string_view text) {
  bytes_ += text.size();
  if (!masker_->MayContain(text)) return;
  std::string blanked;
  if (!digests_.empty()) {
    blanked = text;
    for (size_t at = 0; at < blanked.size();) {
      size_t end = at;
      while (end < blanked.size() && IsHex(blanked[end])) ++end;
      if (end - at == 64 && digests_.contains(blanked.substr(at, 64)))
        blanked.replace(at, 64, 64, '.');
      at = end + 1;
    }
    text = blanked;
  }
  findings_.clear();
  masker_->FindText(text, {}, findings_);
  for (const mask::Finding& finding : findings_) {
    ++(finding.kind == mask::DetectorKind::sad ? sad_ : pan_);
    if (!first_.empty()) continue;
    const std::string_view before = text.substr(0, finding.begin);
    const size_t begin = before.rfind('\n') + 1;  // npos + 1 == 0
    first_ = where + ", in the line that begins \"" +
             std::string(text.substr(begin, std::min<size_t>(12, finding.begin - begin))) + "\"";
  }
}

}  // namespace sallyport::evidence_pack
