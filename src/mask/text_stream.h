#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "mask/impl.h"
#include "mask/masker.h"

namespace sallyport::mask {

/// Masks one text that arrives in pieces. The bytes emitted are the same for every way of cutting
/// the text into pieces, and the same as MaskText gives for the whole.
///
/// Text is held back only while it may belong to something that is not complete: prose goes out
/// word by word, a number when enough has come after it to judge it (about 200 bytes or the end). A
/// text that begins like server-sent events or HTTP chunks is held up to 64 KiB, because a number
/// may be split over its frames; use the stream on the content, not on the framing. At most
/// `max_hold` bytes are held: when no safe place to cut is found in that many, they are emitted
/// with every letter and digit of a suspicious word replaced by `*`, and Overflowed() says so (fail
/// closed). Not thread-safe.
class TextStream {
 public:
  static constexpr size_t kMaxHold = 256 * 1024;

  TextStream(std::shared_ptr<const Masker> masker, Context context, size_t max_hold = kMaxHold);

  /// Takes the next piece and appends what can be said now.
  void Feed(std::string_view chunk, std::string& out);
  /// The text is complete: appends the rest. The object can then be used for another text.
  void Finish(std::string& out);

  const Tally& tally() const { return tally_; }
  size_t held() const { return buffer_.size() - start_; }
  bool Overflowed() const { return overflowed_; }

 private:
  bool QuietTail(std::string& out);
  void Advance(bool last, std::string& out);
  size_t CutBefore(size_t limit, const Found& found) const;
  void Emit(size_t end, const Found& found, const std::vector<CardSpan>& cards, std::string& out);
  void Overflow(std::string& out);
  static void Star(std::string_view text, std::string& out);

  std::shared_ptr<const Masker> masker_;
  std::string hint_, pointer_;
  bool card_object_;
  size_t max_hold_;
  std::string buffer_;             // context already emitted, then what is held
  size_t start_ = 0;               // where the held bytes begin
  std::vector<CardSpan> earlier_;  // card numbers in the context
  size_t tried_ = 0;               // held bytes at the last look
  bool fresh_ = true;              // nothing emitted yet
  bool overflowed_ = false;
  bool spilling_ = false;  // inside the word that overflowed
  Tally tally_;
};

}  // namespace sallyport::mask
