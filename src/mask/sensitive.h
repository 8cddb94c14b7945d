#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "mask/impl.h"
#include "mask/pan_window.h"

namespace sallyport::mask {

/// Sensitive authentication data (PCI DSS 3.3.1) as bytes of the text.
struct SensitiveSpan {
  size_t begin, end;
  uint32_t evidence;  // kTrack, kCardCode or kPin
};

/// Marks the track data around a number, or the code behind "number, expiry".
void AttachSensitive(const FoldedText& folded, PanWindow& window);

/// Verification codes and PIN blocks beside the word for them, anywhere in text[from, to); words
/// that also mean other things ("pin", "cid", "security code") count within 96 bytes of a card
/// number only.
void FindSensitiveWords(std::string_view text, size_t from, size_t to,
                        const std::vector<CardSpan>& cards, bool card_object,
                        std::vector<SensitiveSpan>& spans);

/// Track data whose number did not pass as a card number: sentinels and layout say what it is.
void FindBareTracks(std::string_view text, size_t from, size_t to,
                    std::vector<SensitiveSpan>& spans);

inline constexpr std::string_view kSadRemoved = "[SAD removed]";

}  // namespace sallyport::mask
