#pragma once

#include <string_view>

#include "mask/evidence_words.h"
#include "mask/iin_table.h"
#include "mask/masker.h"
#include "mask/regions.h"

namespace sallyport::mask {

/// What becomes of a region without folding it: one unbroken run of ASCII digits, or four groups of
/// four, among numbers and marks, where no word, escape or other notation is near enough to matter.
/// Then the issuer and the check digit decide alone, as Judge would have them (pan_window.h).
struct BareVerdict {
  bool decided = false;  // false: it takes the full judge
  bool card = false;
  IinMatch match;
  uint32_t evidence = 0;
};
BareVerdict JudgeBareNumber(std::string_view text, const Region& region, const Context& context,
                            HintClass hint);

}  // namespace sallyport::mask
