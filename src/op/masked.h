#pragma once

#include <string>
#include <utility>

namespace sallyport {

namespace mask {
class Seal;
}

/// The type of a thing that may be written to disk (invariant I2). Only the masking engine makes one from
/// outside bytes (mask::Seal), so a payload that was never scanned cannot reach the ledger: it does not
/// compile. An empty one says "nothing recorded".
template <class T>
class Masked {
 public:
  Masked() = default;
  const T& get() const { return value_; }
  bool empty() const { return value_.empty(); }

 private:
  friend class mask::Seal;
  explicit Masked(T value) : value_(std::move(value)) {}
  T value_{};
};

using MaskedText = Masked<std::string>;

}  // namespace sallyport
