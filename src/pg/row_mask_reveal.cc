// What an approved unmasked read takes from the edits of rows.
#include <algorithm>

#include "mask/clear_text.h"
#include "mask/evidence_words.h"
#include "pg/frame.h"
#include "pg/row_mask.h"

namespace sallyport::pg {
namespace {

constexpr uint32_t kNullCell = 0xffffffff;

bool IsNumberOnly(std::string_view value) {
  const auto digit = [](char c) { return c >= '0' && c <= '9'; };
  const auto digits = std::ranges::count_if(value, digit);
  return digits >= 12 && digits <= 19 &&
         std::ranges::all_of(value, [&](char c) { return digit(c) || c == ' ' || c == '-'; });
}

}  // namespace

bool RowMask::RevealCell(const Rule& rule, std::string_view value, mask::Clear& clear,
                         std::string& out) const {
  if (rule.kind != mask::DetectorKind::pan || rule.mask == sql::SourceMask::null) return false;
  if (mask::ClassifyHint(rule.hint) == mask::HintClass::card_code) return false;
  if (rule.binary && (!rule.textual || rule.unknown)) return false;
  if (rule.look == Look::origin) {
    const mask::Clear::Mark before = clear.Remember();
    const mask::Context context{.hint = "card_number"};
    if (IsNumberOnly(value) && mask::RevealText(*masker_, value, context, clear, out) &&
        out == value)
      return true;
    clear.Forget(before);
    return false;
  }
  if (rule.type == "json" || rule.type == "jsonb") {
    const auto shown = masker_->RevealJson(value, {}, clear, out);
    return shown && *shown;
  }
  if (!rule.textual && !rule.unknown && rule.type != "int8" && rule.type != "numeric") return false;
  return mask::RevealText(*masker_, value, {.hint = rule.hint}, clear, out);
}

void RowMask::Reveal(std::string_view rows, RowEdits& edits, mask::Clear& clear) const {
  RowEdits left;
  size_t row = rows.size(), at = 0, column = 0;
  for (const RowEdits::Edit& edit : edits.edits_) {
    if (edit.row != row) row = edit.row, at = row + 7, column = 0;
    for (; at != edit.at; ++column) {
      const uint32_t n = Load32(rows.data() + at);
      at += n == kNullCell ? 4 : 4 + n;
    }
    const std::string_view value = rows.substr(edit.at + 4, edit.size);
    std::string shown;
    RowEdits::Edit kept = edit;
    kept.text = uint32_t(left.text_.size());
    if (RevealCell(cells_[column], value, clear, shown)) {
      if (shown == value) continue;
      kept.text_size = uint32_t(shown.size());
      left.text_ += shown;
    } else if (edit.text_size != RowEdits::kNull) {
      left.text_.append(edits.text_, edit.text, edit.text_size);
    }
    left.edits_.push_back(kept);
  }
  edits = std::move(left);
}

}  // namespace sallyport::pg
