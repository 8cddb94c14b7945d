#include "pg/frame.h"

namespace sallyport::pg {

std::string_view BodyReader::Bytes(size_t n) {
  if (failed_ || n > rest_.size()) {
    failed_ = true;
    return {};
  }
  std::string_view taken = rest_.substr(0, n);
  rest_.remove_prefix(n);
  return taken;
}

uint8_t BodyReader::U8() {
  auto b = Bytes(1);
  return b.empty() ? 0 : static_cast<uint8_t>(b[0]);
}

uint16_t BodyReader::U16() {
  auto b = Bytes(2);
  return b.empty() ? 0 : Load16(b.data());
}

uint32_t BodyReader::U32() {
  auto b = Bytes(4);
  return b.empty() ? 0 : Load32(b.data());
}

std::string_view BodyReader::CString() {
  const size_t end = failed_ ? std::string_view::npos : rest_.find('\0');
  if (end == std::string_view::npos) {
    failed_ = true;
    return {};
  }
  std::string_view text = rest_.substr(0, end);
  rest_.remove_prefix(end + 1);
  return text;
}

MessageWriter& MessageWriter::Begin(char type) {
  if (type != 0) out_.push_back(type);
  length_at_ = out_.size();
  out_.append(4, '\0');
  return *this;
}

MessageWriter& MessageWriter::U8(uint8_t v) {
  out_.push_back(static_cast<char>(v));
  return *this;
}

MessageWriter& MessageWriter::U16(uint16_t v) {
  char b[2];
  Store16(b, v);
  out_.append(b, 2);
  return *this;
}

MessageWriter& MessageWriter::U32(uint32_t v) {
  char b[4];
  Store32(b, v);
  out_.append(b, 4);
  return *this;
}

MessageWriter& MessageWriter::Bytes(std::string_view v) {
  out_.append(v);
  return *this;
}

MessageWriter& MessageWriter::CString(std::string_view v) {
  out_.append(v);
  out_.push_back('\0');
  return *this;
}

void MessageWriter::End() {
  Store32(out_.data() + length_at_, static_cast<uint32_t>(out_.size() - length_at_));
}

}  // namespace sallyport::pg
