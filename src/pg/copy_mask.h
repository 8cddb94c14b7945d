#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "mask/masker.h"
#include "pg/row_mask.h"

namespace sallyport::pg {

/// Whether `body` is what a server sends of COPY … (FORMAT binary): the header at most once, then
/// whole rows, then the trailer at most once (PostgreSQL 15, "COPY", "Binary Format"). Anything
/// else could hide a number from the masker.
bool IsBinaryCopy(std::string_view body);

/// One row of COPY … (FORMAT binary), or its header with the first row. True: `out` has it masked
/// (appended).
bool MaskBinaryCopy(const mask::Masker& masker, std::string_view body, std::string& out,
                    RowTally& tally);

/// The same for a message that is too long to be held and comes in pieces. It keeps its length: a
/// field that has no masked form of its own length becomes NULs; one that is too long to be held is
/// looked at as LongMask does. Holds at most 64 KiB, and as much of one long field.
class LongBinaryCopy {
 public:
  explicit LongBinaryCopy(std::shared_ptr<const mask::Masker> masker)
      : masker_(std::move(masker)) {}

  /// Appends what can be said now. False: not what a server sends; nothing more may be released.
  bool Feed(std::string_view piece, std::string& out);
  /// The message is complete. False: in the middle of a row.
  bool Finish() const { return (state_ == State::count && held_.empty()) || state_ == State::done; }
  uint32_t found() const { return found_; }

 private:
  enum class State : uint8_t { begin, header, extension, count, size, field, long_field, done };

  void Take(std::string& out);
  void NextField();
  void Expect(State state, size_t bytes) { state_ = state, left_ = bytes; }

  std::shared_ptr<const mask::Masker> masker_;
  State state_ = State::begin;
  size_t left_ = 11;     // of this part
  uint16_t fields_ = 0;  // of this row that were not begun
  std::string held_;     // what came of it
  std::optional<LongMask> long_;
  uint32_t found_ = 0;
};

}  // namespace sallyport::pg
