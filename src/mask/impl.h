#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mask/masker.h"

namespace re2 {
class RE2;
}

namespace sallyport::mask {

struct RegexDetector {
  DetectorSpec spec;
  std::shared_ptr<const re2::RE2> re;
};

struct Masker::Impl {
  std::vector<DetectorSpec> specs;
  const DetectorSpec* pan = nullptr;  // the first of its kind; null: not looked for
  const DetectorSpec* sad = nullptr;
  std::vector<RegexDetector> regexes;
  Secret key;
  std::string key_id;
};

/// A replacement of text[begin, end). Edits of one text are sorted and do not overlap
/// (NormalizeEdits).
struct Edit {
  size_t begin = 0, end = 0;
  std::string text;
};

/// What was found in one text, in its own byte positions.
struct Found {
  std::vector<Finding> findings;
  std::vector<Edit> edits;
  bool blocked = false;

  bool Empty() const { return findings.empty(); }
};

/// Sorts; where two overlap the wider one wins and covers both.
void NormalizeEdits(std::vector<Edit>& edits);
std::string ApplyEdits(std::string_view text, const std::vector<Edit>& edits);
/// A set of byte spans, for asking about many others. Linear to make apart from a sort, logarithmic
/// to ask.
class Cover {
 public:
  void Add(size_t begin, size_t end) { spans_.push_back({begin, end}); }
  void Build();
  bool Touches(size_t begin, size_t end) const;  // shares a byte with a span
  bool Crosses(size_t at) const;                 // `at` lies inside a span, not at its border

 private:
  struct Span {
    size_t begin, end;
  };
  std::vector<Span> spans_;
};
/// Adds what was found at `pointer` to the tally.
void AddToTally(const Found& found, std::string_view pointer, Tally& tally);

/// Everything that is in the text. `depth` counts the encodings around it.
/// FindFrom looks at text[from, …) only; what stands before is context, and `earlier` are the card
/// numbers in it. It adds the card numbers that it finds to `cards`.
struct CardSpan {
  size_t begin, end;
};
void FindFrom(const Masker::Impl& impl, std::string_view text, size_t from,
              const std::vector<CardSpan>& earlier, const Context& context, int depth, Found& found,
              std::vector<CardSpan>* cards);
void FindAll(const Masker::Impl& impl, std::string_view text, const Context& context, int depth,
             Found& found);

}  // namespace sallyport::mask
