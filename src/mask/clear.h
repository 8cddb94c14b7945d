#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "mask/masker.h"

namespace sallyport::mask {

/// What one answer may show in clear (an approved unmasked read), and what it has shown so far. The
/// same value counts once however often it stands in the answer, so that text and structured
/// content look alike. Card numbers only where they are written as plain digits, with or without
/// gaps: what hides in an encoding, is spread over several places, or touches sensitive
/// authentication data is masked as ever. One thread.
class Clear {
 public:
  /// `open` says whether the time is not over; asked before each value.
  Clear(std::vector<std::string> detectors, uint64_t max_values, std::function<bool()> open)
      : detectors_(std::move(detectors)), max_values_(max_values), open_(std::move(open)) {}

  /// Whether a finding over `text` may stay as it is, by its nature. `others` have been looked at:
  /// it touches no other finding.
  bool Admits(const Finding& finding, std::string_view text) const;
  /// Whether this value may be shown; it counts from here on. With `fresh` false only values that
  /// count already.
  bool Take(const Finding& finding, std::string_view text, bool fresh = true);
  /// It does not go out after all: nothing of what was taken since `before` counts.
  struct Mark {
    std::set<std::string> values;
    uint64_t places;
  };
  Mark Remember() const { return {values_, places_}; }
  void Forget(Mark before) { values_ = std::move(before.values), places_ = before.places; }
  void AddPlaces(uint64_t n) { places_ += n; }

  bool open() const { return open_(); }
  uint64_t values() const { return values_.size(); }
  uint64_t places() const { return places_; }

 private:
  const std::vector<std::string> detectors_;
  const uint64_t max_values_;
  const std::function<bool()> open_;
  std::set<std::string> values_;
  uint64_t places_ = 0;
};

}  // namespace sallyport::mask
