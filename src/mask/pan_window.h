#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "mask/evidence_words.h"
#include "mask/fold.h"
#include "mask/iin_table.h"
#include "mask/masker.h"

namespace sallyport::mask {

/// A card number in folded text: the symbols [first, last), of which the digits are the number.
struct PanWindow {
  uint32_t first = 0, last = 0;
  uint32_t begin = 0, end = 0;  // bytes of the text
  IinMatch match;
  uint32_t evidence = 0;
  int score = 0;
  uint32_t sad_first = 0, sad_last = 0;    // symbols of the track data around it; none when equal
  uint32_t code_first = 0, code_last = 0;  // symbols of a verification code behind it
};

/// A maximal run of digits: the symbols [first, last).
struct DigitGroup {
  uint32_t first, last;
  uint32_t size() const { return last - first; }
};

/// The view in which windows are looked for.
struct FoldedText {
  std::string_view text;
  const std::vector<Symbol>& symbols;
  const Context& context;
  HintClass hint;
  bool lookalike = false;  // letters were read as digits: only with a card word
};

std::vector<DigitGroup> DigitGroups(const std::vector<Symbol>& symbols);

/// The card numbers, not overlapping, in order. Structure (EMV, track, expiry behind the number)
/// first, then windows whose borders are borders of digit groups.
void FindPanWindows(const FoldedText& folded, std::vector<PanWindow>& windows);

/// Numbers inside or beside a structure; used by FindPanWindows for the group `g`.
void FindStructured(const FoldedText& folded, const std::vector<DigitGroup>& groups, size_t g,
                    std::vector<PanWindow>& windows);

/// Completes `w` (its symbol range is set) when the digits are a number of a network with a right
/// check digit and nothing speaks against it. `min_trust_context`: demand a card word whatever the
/// network.
bool Judge(const FoldedText& folded, PanWindow& w, bool need_context);

/// The bytes [begin, end) are all there is but white space and quotes.
bool IsWholeText(std::string_view text, size_t begin, size_t end);

/// The digits 0…9 of a symbol range; at most 24 are written, the count returned.
int DigitsOf(const std::vector<Symbol>& symbols, uint32_t first, uint32_t last, uint8_t* digits);

}  // namespace sallyport::mask
