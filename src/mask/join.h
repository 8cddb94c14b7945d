#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "mask/iin_table.h"
#include "mask/impl.h"

namespace sallyport::mask {

/// Whether values that stand side by side are the pieces of one card number: 4111, 1111, 1111,
/// 1111, or single digits, or a first and a last half. All pieces are digits only, and they are all
/// there is. `card`: a key or word says card.
std::optional<IinMatch> JoinedNumber(std::span<const std::string> pieces, bool card);

/// The pieces with the digits hidden as `render` says (one `*` per digit).
std::vector<std::string> HidePieces(std::span<const std::string> pieces, Render render);

/// Keys that name the pieces of one thing: p1/p2, pan_first8/pan_last8, bin/mid/last4, a/b.
bool RelatedKeys(std::string_view a, std::string_view b);

/// Texts that follow each other (content items, deltas, COPY messages): numbers over their borders.
/// Found i belongs to texts[i]; the finding itself is in the Found of the text where the number
/// starts and its end may lie behind that text: `crossing` gives (first text, last text, finding
/// with begin in the first and end in the last). Numbers within one text are not looked for.
struct Crossing {
  size_t first, last;
  Finding finding;
};
void FindAcross(const Masker::Impl& impl, std::span<const std::string_view> texts,
                const Context& context, bool strict, std::vector<std::vector<Edit>>& edits,
                std::vector<Crossing>& crossings);

}  // namespace sallyport::mask
