#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "mask/impl.h"

namespace sallyport::mask {

/// Decoders go two encodings deep, and inflate at most this much per blob.
inline constexpr int kMaxDecodeDepth = 2;
inline constexpr size_t kMaxInflated = 8 << 20;

/// Looks into base64 (both alphabets, with gzip and zlib inside), hexadecimal (ASCII, UTF-16,
/// EBCDIC, spaced pairs) and JWT payloads of text[from, to). A finding is the whole blob; its edit
/// is the same encoding of the masked content, so data URIs and JWT payloads still decode. What
/// inflates to more than kMaxInflated is removed. `depth` as in FindAll.
void FindInBlobs(const Masker::Impl& impl, std::string_view text, size_t from, size_t to,
                 const Context& context, int depth, Found& found);

/// A cheap look at a token of at least 16 characters of the base64 alphabets: false when it surely
/// decodes to nothing that FindInBlobs looks into.
bool MayBeBlob(std::string_view token);

/// Sixteen hexadecimal digits as eight bytes; false when there is another character.
bool FromHex16(const char* text, uint8_t* bytes);

}  // namespace sallyport::mask
