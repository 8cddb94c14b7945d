#pragma once

#include <cstdint>
#include <string>

namespace sallyport::op {

/// How often something was masked at one place of one message.
struct MaskCount {
  std::string kind;   // "pan", "sad", or the detector's name
  std::string place;  // JSON pointer; never a value
  uint32_t count = 0;
};

}  // namespace sallyport::op
