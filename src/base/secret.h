#pragma once

#include <cstring>
#include <string>
#include <string_view>
#include <utility>

namespace sallyport {

/// A credential or key in memory. It has no formatter, no stream operator and no comparison, so logging or
/// recording one does not compile; the bytes are wiped when it dies. Read them with `Reveal()` at the one
/// place that needs them (building an upstream header, signing).
class Secret {
 public:
  Secret() = default;
  explicit Secret(std::string value) : value_(std::move(value)) {}
  Secret(Secret&& other) noexcept : value_(std::move(other.value_)) { other.Wipe(); }
  Secret& operator=(Secret&& other) noexcept {
    if (this != &other) {
      Wipe();
      value_ = std::move(other.value_);
      other.Wipe();
    }
    return *this;
  }
  Secret(const Secret&) = default;
  Secret& operator=(const Secret&) = default;
  ~Secret() { Wipe(); }

  bool empty() const { return value_.empty(); }
  std::string_view Reveal() const { return value_; }

 private:
  void Wipe() {
    if (!value_.empty()) explicit_bzero(value_.data(), value_.size());
    value_.clear();
  }
  std::string value_;
};

}  // namespace sallyport
