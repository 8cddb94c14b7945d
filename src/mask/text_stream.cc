#include "mask/text_stream.h"

namespace sallyport::mask {

TextStream::TextStream(std::shared_ptr<const Masker> masker, Context context, size_t max_hold)
    : masker_(std::move(masker)),
      hint_(context.hint),
      pointer_(context.pointer),
      card_object_(context.card_object),
      max_hold_(max_hold) {}

void TextStream::Feed(std::string_view chunk, std::string& out) {
  held_ += chunk;
  if (held_.size() > max_hold_) Finish(out);
}

void TextStream::Finish(std::string& out) {
  Emit(held_, out);
  held_.clear();
}

void TextStream::Emit(std::string_view segment, std::string& out) {
  Context context{hint_, pointer_, card_object_};
  if (!masker_->MaskText(segment, context, out, tally_)) out += segment;
}

}  // namespace sallyport::mask
