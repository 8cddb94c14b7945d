#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"
#include "recording/cipher.h"

namespace sallyport::recording {

constexpr size_t kChunkBytes = 64 << 10;  // of text in one chunk, at most
constexpr size_t kChunkHead = 16;

/// Whose recording it is: what a chunk is bound to besides its own place.
struct Bound {
  std::string_view origin;   // of the log
  std::string_view session;  // "s_…"
};

/// Appends `text` in chunks, each encrypted with AES-256-GCM: the nonce is the number of the stream
/// and of the chunk, so `stream` must be used once under one key; authenticated are origin,
/// session, stream, number, whether it is the last, and its length. So none can be left out, moved,
/// put into another recording, or be the last before it is. Returns the number of chunks (at least
/// 1).
uint32_t SealChunks(Gcm& gcm, const Bound& bound, uint64_t stream, std::string_view text,
                    std::string& out);

/// The text of what SealChunks made; recording_damaged. `most` bytes of text.
Result<std::string> OpenChunks(Gcm& gcm, const Bound& bound, std::string_view sealed,
                               size_t most = size_t(1) << 31);

/// How many chunks these are by their heads, without a key; recording_damaged where they are none.
Result<uint32_t> CountChunks(std::string_view sealed);

}  // namespace sallyport::recording
