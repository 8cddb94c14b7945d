// What is done with findings: spans to ask about, edits in order and applied, the tally.
#include <algorithm>
#include <string>

#include "mask/impl.h"

namespace sallyport::mask {

void Cover::Build() {
  std::ranges::sort(spans_, {}, &Span::begin);
  std::vector<Span> merged;
  for (const Span& s : spans_) {
    if (!merged.empty() && s.begin < merged.back().end) {
      merged.back().end = std::max(merged.back().end, s.end);
    } else {
      merged.push_back(s);
    }
  }
  spans_ = std::move(merged);
}
bool Cover::Touches(size_t begin, size_t end) const {
  const auto after = std::ranges::lower_bound(spans_, end, {}, &Span::begin);
  return after != spans_.begin() && std::prev(after)->end > begin;
}
bool Cover::Crosses(size_t at) const {
  const auto after = std::ranges::lower_bound(spans_, at, {}, &Span::begin);
  return after != spans_.begin() && std::prev(after)->end > at;
}

void NormalizeEdits(std::vector<Edit>& edits) {
  std::ranges::sort(edits, [](const Edit& a, const Edit& b) {
    return a.begin != b.begin ? a.begin < b.begin
           : a.end != b.end   ? a.end > b.end
                              : a.text < b.text;
  });
  std::vector<Edit> kept;
  for (Edit& e : edits) {
    if (!kept.empty() && e.begin < kept.back().end) {
      Edit& k = kept.back();
      // Contained or equal: the wider one stands. Crossing: the wider text stands for both.
      if (e.end > k.end) {
        if (e.end - e.begin > k.end - k.begin) k.text = std::move(e.text);
        k.end = e.end;
      }
      continue;
    }
    kept.push_back(std::move(e));
  }
  edits = std::move(kept);
}

std::string ApplyEdits(std::string_view text, const std::vector<Edit>& edits) {
  std::string out;
  out.reserve(text.size());
  size_t at = 0;
  for (const Edit& e : edits) {
    out += text.substr(at, e.begin - at);
    out += e.text;
    at = e.end;
  }
  out += text.substr(at);
  return out;
}

void AddToTally(const Found& found, std::string_view pointer, Tally& tally) {
  tally.blocked |= found.blocked;
  for (const Finding& f : found.findings) {
    switch (f.kind) {
      case DetectorKind::pan:
        tally.pan++;
        break;
      case DetectorKind::sad:
        tally.sad++;
        break;
      case DetectorKind::regex:
        tally.regex++;
        break;
    }
    const auto same = std::ranges::find_if(
        tally.places, [&](const Place& p) { return p.kind == f.kind && p.pointer == pointer; });
    if (same != tally.places.end()) {
      same->count++;
    } else if (tally.places.size() < Tally::kMaxPlaces) {
      tally.places.push_back({std::string(pointer), f.kind, 1});
    }
  }
}

}  // namespace sallyport::mask
