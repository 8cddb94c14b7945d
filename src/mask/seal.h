#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "mask/masker.h"
#include "op/evidence.h"

namespace sallyport::mask {

/// The only maker of Masked<…>: what may be written to disk has been through the detectors here,
/// whatever its caller did before. Scanning a text that is masked already is cheap and changes
/// nothing.
class Seal {
 public:
  /// A JSON message for the log. What is longer than `limit` bytes after masking is cut and kept as
  /// plain text, with `complete` false. mask_failed as MaskJson: then nothing may be recorded or
  /// released.
  static Result<op::Payload> Json(const Masker& masker, std::string_view json,
                                  const JsonOptions& options, size_t limit,
                                  std::vector<op::MaskCount>& counts) {
    std::string masked;
    Tally tally;
    SALLYPORT_TRY(const bool changed, masker.MaskJson(json, options, masked, tally));
    Count(tally, counts);
    return Cut(changed ? std::move(masked) : std::string(json), true, limit);
  }

  /// A plain text for the log.
  static op::Payload Text(const Masker& masker, std::string_view text, size_t limit,
                          std::vector<op::MaskCount>& counts) {
    std::string masked;
    Tally tally;
    const bool changed = masker.MaskText(text, {}, masked, tally);
    Count(tally, counts);
    return Cut(changed ? std::move(masked) : std::string(text), false, limit);
  }

  /// One JSON object with the members of two that were sealed whole, in this order.
  static op::Payload Members(const op::Payload& first, const op::Payload& second, size_t limit) {
    const std::string &a = first.text.get(), &b = second.text.get();
    std::string both;
    both.reserve(a.size() + b.size());
    both.append(a, 0, a.size() - 1).append(a.size() > 2 && b.size() > 2 ? "," : "").append(b, 1);
    return Cut(std::move(both), true, limit);
  }

  /// Adds what `tally` counted to the list that a log entry carries.
  static void Count(const Tally& tally, std::vector<op::MaskCount>& counts) {
    for (const Place& place : tally.places) {
      counts.push_back({std::string(KindName(place.kind)), place.pointer, place.count});
    }
  }

  static std::string_view KindName(DetectorKind kind) {
    switch (kind) {
      case DetectorKind::pan:
        return "pan";
      case DetectorKind::sad:
        return "sad";
      case DetectorKind::regex:
        return "regex";
    }
    return "regex";
  }

 private:
  static op::Payload Cut(std::string masked, bool json, size_t limit) {
    op::Payload payload;
    payload.total_bytes = masked.size();
    payload.json = json;
    if (masked.size() > limit) {
      size_t end = limit;
      while (end > 0 && (static_cast<unsigned char>(masked[end]) & 0xc0) == 0x80)
        --end;  // not inside a character
      masked.resize(end);
      payload.json = false;
      payload.complete = false;
    }
    payload.text = MaskedText(std::move(masked));
    return payload;
  }
};

}  // namespace sallyport::mask
