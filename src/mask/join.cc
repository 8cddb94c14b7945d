#include "mask/join.h"

#include <algorithm>

#include "mask/evidence_words.h"
#include "mask/render.h"

namespace sallyport::mask {
namespace {

/// The key without digits, case and words of position.
std::string Stem(std::string_view key) {
  static constexpr std::string_view kPositions[] = {
      "first",  "last",   "left",  "right",  "part",  "mid",     "middle", "bin",   "iin",
      "prefix", "suffix", "head",  "tail",   "start", "begin",   "end",    "front", "back",
      "rest",   "a",      "b",     "c",      "d",     "segment", "group",  "chunk", "piece",
      "four",   "six",    "eight", "digits", "hi",    "lo",      "high",   "low",   "g"};
  std::string stem, word;
  const auto flush = [&] {
    if (!word.empty() && std::ranges::find(kPositions, word) == std::end(kPositions)) stem += word;
    word.clear();
  };
  for (size_t i = 0; i < key.size(); i++) {
    const char c = key[i];
    const bool letter = (c | 0x20) >= 'a' && (c | 0x20) <= 'z';
    if (!letter || (c <= 'Z' && i > 0 && key[i - 1] >= 'a')) flush();
    if (letter) word += char(c | 0x20);
  }
  flush();
  return stem;
}

}  // namespace

std::optional<IinMatch> JoinedNumber(std::span<const std::string> pieces, bool card) {
  std::string digits;
  bool ones = true, groups = true;
  for (const std::string& p : pieces) {
    digits += p;
    ones &= p.size() == 1;
    groups &= p.size() >= (&p == &pieces.back() ? 1u : 3u);
    if (digits.size() > 19) return std::nullopt;
  }
  if (pieces.size() < 2 || digits.size() < 13 || (!ones && !groups)) return std::nullopt;
  if (!ones && !card && pieces.size() > 2) {  // groups of other sizes are lists of numbers
    for (size_t i = 0; i + 1 < pieces.size(); i++) {
      const size_t n = pieces[i].size();
      if (n != 4 && n != 6) return std::nullopt;
    }
  }
  uint8_t d[24];
  for (size_t i = 0; i < digits.size(); i++) d[i] = uint8_t(digits[i] - '0');
  const auto match = LookUpIin(d, int(digits.size()));
  if (!match || !LuhnOk(d, int(digits.size()))) return std::nullopt;
  if (match->trust > Trust::medium && !card) return std::nullopt;
  return match;
}

std::vector<std::string> HidePieces(std::span<const std::string> pieces, Render render) {
  int n = 0, k = 0;
  for (const std::string& p : pieces) n += int(p.size());
  std::vector<std::string> out(pieces.begin(), pieces.end());
  for (std::string& p : out) {
    for (char& c : p) {
      if (!Visible(render, k++, n)) c = '*';
    }
  }
  return out;
}

bool RelatedKeys(std::string_view a, std::string_view b) {
  if (a == b) return true;
  const std::string sa = Stem(a), sb = Stem(b);
  if (sa != sb) return false;
  const HintClass h = ClassifyHint(sa);
  return h != HintClass::identifier && h != HintClass::other_number;
}

void FindAcross(const Masker::Impl& impl, std::span<const std::string_view> texts,
                const Context& context, bool strict, std::vector<std::vector<Edit>>& edits,
                std::vector<Crossing>& crossings) {
  std::string all;
  std::vector<size_t> starts;
  for (std::string_view t : texts) {
    starts.push_back(all.size());
    all += t;
  }
  starts.push_back(all.size());
  const auto text_at = [&](size_t pos) {
    return size_t(std::ranges::upper_bound(starts.begin(), starts.end() - 1, pos) -
                  starts.begin()) -
           1;
  };
  Found found;
  FindAll(impl, all, context, 1, found);
  if (found.Empty()) return;
  NormalizeEdits(found.edits);
  edits.resize(texts.size());
  for (const Finding& f : found.findings) {
    const size_t first = text_at(f.begin), last = text_at(f.end - 1);
    if (first == last) continue;
    if (strict && !(f.evidence & (kContext | kStructure | kTrack))) continue;
    Crossing c{first, last, f};
    c.finding.begin = f.begin - starts[first];
    c.finding.end = f.end - starts[last];
    c.finding.evidence |= kJoined;
    crossings.push_back(c);
    for (const Edit& e : found.edits) {
      if (e.end <= f.begin || e.begin >= f.end) continue;
      for (size_t t = text_at(e.begin); t < texts.size() && starts[t] < e.end; t++) {
        const size_t b = std::max(e.begin, starts[t]), n = std::min(e.end, starts[t + 1]);
        if (b < n)
          edits[t].push_back({b - starts[t], n - starts[t], b == e.begin ? e.text : std::string()});
      }
    }
  }
}

}  // namespace sallyport::mask
