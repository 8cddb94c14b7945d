#include "net/http_chunks.h"

#include <algorithm>

namespace sallyport::net {

bool ChunkReader::Refuse(std::string_view detail, int status) {
  refusal_ =
      Refusal{status, status == 413 ? Errc::request_too_large : Errc::request_malformed, detail};
  return false;
}

/// Everything but the content of a chunk, byte by byte.
bool ChunkReader::Step(char c) {
  constexpr size_t kExtraLimit = 8 << 10;
  const bool strict = strictness_ == Strictness::refuse_extras;
  switch (state_) {
    case State::size: {
      const int digit = c >= '0' && c <= '9'   ? c - '0'
                        : c >= 'a' && c <= 'f' ? c - 'a' + 10
                        : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                               : -1;
      if (digit >= 0) {
        if (++digits_ > 15) return Refuse("a chunk size too long");
        left_ = left_ << 4 | uint64_t(digit);
        return true;
      }
      if (digits_ == 0) return Refuse("a malformed chunk size");
      if (c == '\r') return state_ = State::size_lf, true;
      if (strict) return Refuse("a malformed chunk size or an extension");
      if (c != ';' && c != ' ' && c != '\t') return Refuse("a malformed chunk size");
      return state_ = State::extension, true;
    }
    case State::extension:
      if (c == '\r') return state_ = State::size_lf, true;
      if (c == '\n' || ++extra_ > kExtraLimit) return Refuse("a malformed chunk extension");
      return true;
    case State::size_lf:
      if (c != '\n') return Refuse("a malformed chunk size");
      digits_ = 0;
      state_ = left_ == 0 ? State::trailer : State::data;
      return true;
    case State::data_cr:
      if (c != '\r') return Refuse("a chunk longer than its size");
      return state_ = State::data_lf, true;
    case State::data_lf:
      if (c != '\n') return Refuse("a chunk longer than its size");
      return state_ = State::size, true;
    case State::trailer:
      if (c == '\r') return state_ = State::last_lf, true;
      if (strict) return Refuse("a trailer field");
      state_ = State::trailer_line;
      [[fallthrough]];
    case State::trailer_line:
      if (c == '\r') return state_ = State::trailer_lf, true;
      if (c == '\n' || ++extra_ > kExtraLimit) return Refuse("a malformed trailer");
      return true;
    case State::trailer_lf:
      if (c != '\n') return Refuse("a malformed trailer");
      return state_ = State::trailer, true;
    case State::last_lf:
      if (c != '\n') return Refuse("a malformed end of the last chunk");
      return state_ = State::done, true;
    case State::data:
    case State::done:
      break;
  }
  return true;
}

std::optional<size_t> ChunkReader::Feed(std::string_view data, std::string& out, uint64_t limit) {
  size_t used = 0;
  while (used < data.size() && state_ != State::done) {
    if (state_ != State::data) {
      if (!Step(data[used++])) return std::nullopt;
      // As soon as the size is known: nobody has to send what will be refused.
      if (state_ == State::data && (left_ > limit || total_ > limit - left_)) {
        Refuse("a body too large", 413);
        return std::nullopt;
      }
      continue;
    }
    const size_t n = size_t(std::min<uint64_t>(left_, data.size() - used));
    out.append(data.substr(used, n));
    used += n, left_ -= n, total_ += n;
    if (left_ == 0) state_ = State::data_cr;
  }
  return used;
}

}  // namespace sallyport::net
