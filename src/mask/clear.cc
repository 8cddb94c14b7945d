#include "mask/clear.h"

#include <algorithm>
#include <iterator>
#include <tuple>

#include "mask/clear_text.h"
#include "mask/impl.h"
#include "mask/json_mask.h"

namespace sallyport::mask {
namespace {

constexpr int kPasses = 4;
constexpr uint32_t kHidden =
    kDecoded | kJoined | kTrack | kCardCode | kPin;  // not one number in plain sight

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

/// What makes two spellings the same value.
std::string ValueOf(const Finding& finding, std::string_view text) {
  std::string value;
  if (finding.kind == DetectorKind::pan) {
    std::ranges::copy_if(text, std::back_inserter(value), IsDigit);
  } else {
    value = text;
  }
  return std::string(finding.detector) + '\n' + value;
}

struct Judged {
  std::vector<Finding> kept;
  std::vector<Edit> edits;  // of everything else
  bool rest = false;        // there is something else
};

/// Whether every edit that touches [begin, end) lies inside it. `edits` are normalized.
bool OwnEdits(const std::vector<Edit>& edits, size_t begin, size_t end) {
  const auto first = std::ranges::upper_bound(edits, begin, {}, &Edit::end);
  const auto behind = std::ranges::lower_bound(edits, end, {}, &Edit::begin);
  if (first >= behind) return true;
  return first->begin >= begin && std::prev(behind)->end <= end;
}

/// The findings that stay and the edits of the others. A finding stays only if nothing else touches
/// it and every edit there is its own.
Judged Judge(std::string_view text, Found found, Clear& clear, bool fresh) {
  Judged judged;
  const auto place = [](const Finding& f) { return std::tuple(f.begin, f.end, f.detector); };
  std::ranges::sort(found.findings, {}, place);
  const auto twice = std::ranges::unique(found.findings, {}, place);
  found.findings.erase(twice.begin(), twice.end());
  NormalizeEdits(found.edits);
  size_t reach = 0;  // how far the findings before this one go
  for (size_t i = 0; i < found.findings.size(); ++i) {
    const Finding& f = found.findings[i];
    const bool alone = f.begin >= reach &&
                       (i + 1 == found.findings.size() || found.findings[i + 1].begin >= f.end) &&
                       OwnEdits(found.edits, f.begin, f.end);
    reach = std::max(reach, f.end);
    const std::string_view span = text.substr(f.begin, f.end - f.begin);
    if (alone && clear.Admits(f, span) && clear.Take(f, span, fresh)) {
      judged.kept.push_back(f);
    } else {
      judged.rest = true;
    }
  }
  Cover kept;
  for (const Finding& f : judged.kept) kept.Add(f.begin, f.end);
  kept.Build();
  for (Edit& e : found.edits) {
    if (!kept.Touches(e.begin, e.end)) judged.edits.push_back(std::move(e));
  }
  return judged;
}

}  // namespace

bool Clear::Admits(const Finding& finding, std::string_view text) const {
  if (finding.kind == DetectorKind::sad || (finding.evidence & kHidden) != 0) return false;
  if (std::ranges::find(detectors_, finding.detector) == detectors_.end()) return false;
  if (finding.kind != DetectorKind::pan) return true;
  const bool plain =
      std::ranges::all_of(text, [](char c) { return IsDigit(c) || c == ' ' || c == '-'; });
  const auto digits = std::ranges::count_if(text, IsDigit);
  return plain && digits >= 12 && digits <= 19;
}

bool Clear::Take(const Finding& finding, std::string_view text, bool fresh) {
  if (!open_()) return false;
  std::string value = ValueOf(finding, text);
  if (values_.contains(value)) return true;
  if (!fresh || values_.size() >= max_values_) return false;
  values_.insert(std::move(value));
  return true;
}

namespace {

/// As masking does: until nothing is found but what may stay. `find` fills in what is in a text.
template <class Find>
Result<bool> Reveal(std::string_view original, Clear& clear, std::string& out, const Find& find) {
  const Clear::Mark before = clear.Remember();
  std::string text(original);
  for (int pass = 0; pass < kPasses + 1; ++pass) {
    Found found;
    const Result<void> read = find(text, found);
    if (!read || found.blocked) {
      clear.Forget(before);
      return read ? Result<bool>(false) : Result<bool>(std::unexpected(read.error()));
    }
    const Judged judged = Judge(text, std::move(found), clear, pass == 0);
    if (!judged.rest) {
      if (judged.kept.empty()) break;
      clear.AddPlaces(judged.kept.size());
      out += text;
      return true;
    }
    text = ApplyEdits(text, judged.edits);
  }
  clear.Forget(before);
  return false;
}

}  // namespace

Result<bool> Masker::RevealJson(std::string_view json, const JsonOptions& options, Clear& clear,
                                std::string& out) const {
  return Reveal(json, clear, out, [&](std::string_view text, Found& found) {
    return FindInJson(*impl_, text, options, 0, 0, found);
  });
}

bool RevealText(const Masker& masker, std::string_view text, const Context& context, Clear& clear,
                std::string& out) {
  const auto shown = Reveal(text, clear, out, [&](std::string_view part, Found& found) {
    FindAll(masker.impl(), part, context, 0, found);
    return Result<void>();
  });
  return shown && *shown;
}

}  // namespace sallyport::mask
