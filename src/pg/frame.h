#pragma once

#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>

namespace sallyport::pg {

/// Lengths on the wire (PostgreSQL 15, src/include/libpq/pqcomm.h). A length counts itself.
inline constexpr uint32_t kMaxMessage = 0x3fffffff;  // of any message once logged in
inline constexpr uint32_t kMaxStartup = 10'000;      // MAX_STARTUP_PACKET_LENGTH
inline constexpr uint32_t kMaxAuthMessage = 65'535;  // PG_MAX_AUTH_TOKEN_LENGTH

/// The head of a message: a type byte and a length.
struct FrameHead {
  static constexpr size_t kSize = 5;
  char type = 0;
  uint32_t length = 0;                                 // as on the wire, 4 at least
  size_t total() const { return size_t{length} + 1; }  // with the type byte
  size_t body() const { return length - 4; }
};

inline uint16_t Load16(const char* p) {
  uint16_t v;
  std::memcpy(&v, p, 2);
  return __builtin_bswap16(v);
}
inline uint32_t Load32(const char* p) {
  uint32_t v;
  std::memcpy(&v, p, 4);
  return __builtin_bswap32(v);
}
inline void Store16(char* p, uint16_t v) {
  v = __builtin_bswap16(v);
  std::memcpy(p, &v, 2);
}
inline void Store32(char* p, uint32_t v) {
  v = __builtin_bswap32(v);
  std::memcpy(p, &v, 4);
}

/// The head at the start of `bytes`; nullopt while there are fewer than five. The length is not
/// judged: a caller refuses what is below 4 or over its limit.
inline std::optional<FrameHead> PeekHead(std::string_view bytes) {
  if (bytes.size() < FrameHead::kSize) return std::nullopt;
  return FrameHead{bytes[0], Load32(bytes.data() + 1)};
}

/// Reads the body of one message. Total: reading past the end sets failed() and yields zeros, so a
/// parser checks once, at its end. Views point into the message.
class BodyReader {
 public:
  explicit BodyReader(std::string_view body) : rest_(body) {}

  uint8_t U8();
  uint16_t U16();
  uint32_t U32();
  int16_t I16() { return static_cast<int16_t>(U16()); }
  int32_t I32() { return static_cast<int32_t>(U32()); }
  std::string_view Bytes(size_t n);
  /// Up to a NUL, which is consumed; failed if there is none.
  std::string_view CString();
  std::string_view rest() const { return rest_; }
  bool failed() const { return failed_; }
  /// Everything was read and nothing was missing.
  bool done() const { return !failed_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool failed_ = false;
};

/// Appends messages to a string.
class MessageWriter {
 public:
  explicit MessageWriter(std::string& out) : out_(out) {}

  /// Messages do not nest; End() fills in the length. A type of 0: no type byte (startup packets).
  MessageWriter& Begin(char type);
  MessageWriter& U8(uint8_t v);
  MessageWriter& U16(uint16_t v);
  MessageWriter& U32(uint32_t v);
  MessageWriter& Bytes(std::string_view v);
  MessageWriter& CString(std::string_view v);  // v must hold no NUL
  void End();

 private:
  std::string& out_;
  size_t length_at_ = 0;
};

}  // namespace sallyport::pg
