#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "recording/cipher.h"

namespace sallyport::recording {

/// Writes an age file (https://c2sp.org/age, version 1) for one X25519 recipient, which any age
/// program opens with the recipient's identity. One thread.
class AgeWriter {
 public:
  using Sink = std::function<Result<>(std::string_view bytes)>;

  /// `recipient`: "age1…". config_invalid where it is none; the error of `sink`.
  static Result<AgeWriter> Begin(std::string_view recipient, Sink sink);

  Result<> Write(std::string_view text);
  /// The end, without which no reader accepts the file. Nothing may be written behind it.
  Result<> Finish();

 private:
  AgeWriter(Sink sink, const Key& key) : sink_(std::move(sink)), key_(key) {}
  Result<> Chunk(std::string_view text, bool last);

  Sink sink_;
  Key key_;  // of the payload
  uint64_t chunks_ = 0;
  std::string text_;  // not yet sealed; at most one chunk
};

/// The 32 bytes of an X25519 recipient in Bech32 (BIP 173); config_invalid.
Result<std::array<uint8_t, 32>> ReadAgeRecipient(std::string_view text);

}  // namespace sallyport::recording
