#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "mask/masker.h"

namespace sallyport::mask {

/// Masks one text that arrives in pieces. The bytes emitted are the same for every way of cutting
/// the text into pieces, and the same as MaskText gives for the whole.
///
/// Text is held back only while it may belong to something that is not complete. At most `max_hold`
/// bytes are held: when more would be, the held bytes are emitted with every digit (and every
/// character of an encoded blob) replaced by `*`, and `Tally::blocked` stays as it is. Not
/// thread-safe; keep the Masker alive by the shared pointer given.
class TextStream {
 public:
  static constexpr size_t kMaxHold = 256 * 1024;

  TextStream(std::shared_ptr<const Masker> masker, Context context, size_t max_hold = kMaxHold);

  /// Takes the next piece and appends what can be said now.
  void Feed(std::string_view chunk, std::string& out);
  /// The text is complete: appends the rest. The object can then be used for another text.
  void Finish(std::string& out);

  const Tally& tally() const { return tally_; }
  size_t held() const { return held_.size(); }

 private:
  void Emit(std::string_view segment, std::string& out);

  std::shared_ptr<const Masker> masker_;
  std::string hint_, pointer_;
  bool card_object_;
  size_t max_hold_;
  std::string held_;
  Tally tally_;
};

}  // namespace sallyport::mask
