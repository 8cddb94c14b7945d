#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "net/http_head.h"

namespace sallyport::net {

/// Takes the chunked coding off (RFC 9112 section 7.1).
class ChunkReader {
 public:
  /// A server is strict: chunk extensions and trailer fields are refused, as nothing we serve needs
  /// them and implementations differ in where they end. A client ignores them.
  enum class Strictness { refuse_extras, ignore_extras };
  explicit ChunkReader(Strictness strictness) : strictness_(strictness) {}

  /// Appends content out of `data` to `out`, at most `limit` bytes in all calls together, and says
  /// how much of `data` was used; nullopt with `refusal()` if it is not well-formed (400) or too
  /// large (413).
  std::optional<size_t> Feed(std::string_view data, std::string& out, uint64_t limit);
  bool done() const { return state_ == State::done; }
  const Refusal& refusal() const { return refusal_; }

 private:
  enum class State {
    size,
    extension,
    size_lf,
    data,
    data_cr,
    data_lf,
    trailer,
    trailer_line,
    trailer_lf,
    last_lf,
    done
  };
  bool Step(char c);
  bool Refuse(std::string_view detail, int status = 400);

  Strictness strictness_;
  State state_ = State::size;
  unsigned digits_ = 0;
  uint64_t left_ = 0;  // of the chunk
  uint64_t total_ = 0;
  size_t extra_ = 0;  // bytes of extensions and trailers
  Refusal refusal_;
};

}  // namespace sallyport::net
