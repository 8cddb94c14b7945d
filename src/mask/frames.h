#pragma once

#include <string_view>

#include "mask/impl.h"

namespace sallyport::mask {

/// Longer captures are read as plain text.
inline constexpr size_t kMaxFramedText = 64 * 1024;

/// The text may be a capture of server-sent events or of HTTP chunks, as far as its first bytes
/// say. More bytes never turn false into true once 16 are there.
bool MayBeFramed(std::string_view text);

/// Numbers that are split over the frames of such a capture: data lines of one event, the same JSON
/// string in events that follow each other, HTTP chunks. Numbers inside one frame are not looked
/// for.
void FindAcrossFrames(const Masker::Impl& impl, std::string_view text, Found& found);

}  // namespace sallyport::mask
