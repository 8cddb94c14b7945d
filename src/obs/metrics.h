#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <memory>
#include <shared_mutex>
#include <string>
#include <string_view>
#include <vector>

// Metrics in the Prometheus text format 0.0.4
// (prometheus.io/docs/instrumenting/exposition_formats).
//
// Names: sallyport_<component>_<what>_<unit or total>. Base units only (seconds, bytes). What this
// layer and net/ make; the other families are declared where they are counted:
//
//   sallyport_http_responses_total       counter  status  requests that reached a handler
//   sallyport_http_refused_total         counter  status  refused before: malformed, too large, too
//   slow, too many sallyport_exceptions_total           counter          an exception ended a
//   coroutine or a handler: a defect sallyport_log_lines_dropped_total    counter          log
//   lines that could not be written
//
// A label value is a name out of the configuration or of a closed set, never something a caller
// typed, and never an identity: metrics are read by people who may not read the evidence.

namespace sallyport::obs {

/// Goes up only. Add() is one relaxed addition on a cache line that few threads share.
class Counter {
 public:
  void Add(uint64_t n = 1) { cells_[Slot()].value.fetch_add(n, std::memory_order_relaxed); }
  uint64_t value() const;

 private:
  static constexpr size_t kCells = 4;
  struct alignas(64) Cell {
    std::atomic<uint64_t> value{0};
  };
  static size_t Slot();
  std::array<Cell, kCells> cells_;
};

/// Goes up and down.
class Gauge {
 public:
  void Set(double value) { value_.store(value, std::memory_order_relaxed); }
  void Add(double delta) { value_.fetch_add(delta, std::memory_order_relaxed); }
  double value() const { return value_.load(std::memory_order_relaxed); }

 private:
  std::atomic<double> value_{0};
};

/// Counts of observations below each bound, their sum and number. A reading taken while others
/// observe may be off by those observations, never torn: the count is derived from the buckets.
class Histogram {
 public:
  explicit Histogram(std::vector<double> bounds);
  void Observe(double value);
  uint64_t count() const;
  double sum() const { return sum_.load(std::memory_order_relaxed); }

 private:
  friend class Registry;
  const std::vector<double> bounds_;  // ascending, without +Inf
  std::unique_ptr<std::atomic<uint64_t>[]> buckets_;
  std::atomic<double> sum_{0};
};

/// 50 µs to 10 s, for calls.
std::vector<double> LatencyBounds();

/// All series of one name, one per combination of label values. With() takes a shared lock and
/// looks up: keep the reference (it lives as long as the process) where the labels are known early.
/// After `kSeriesLimit` series new combinations are counted together under the label value
/// "_other".
template <class Metric>
class Family {
 public:
  static constexpr size_t kSeriesLimit = 1000;
  Metric& With(std::initializer_list<std::string_view> values = {});

 private:
  friend class Registry;
  std::string name_, help_;
  std::vector<std::string> labels_;
  std::vector<double> bounds_;
  mutable std::shared_mutex mutex_;
  std::map<std::vector<std::string>, std::unique_ptr<Metric>, std::less<>> series_;
};

/// What one family counted up to a moment.
struct Reading {
  enum class Kind : uint8_t { counter, gauge, histogram };
  struct Sample {
    std::vector<std::string> values;  // of the labels
    double value = 0;                 // of a histogram: the sum
    std::vector<uint64_t> buckets;    // of a histogram: each alone, one more than bounds
  };
  std::string name, help;
  Kind kind = Kind::counter;
  std::vector<std::string> labels;
  std::vector<double> bounds;  // of a histogram
  std::vector<Sample> samples;
};

/// The set of families. Thread-safe. Asking for a name again gives the same family; asking for it
/// with other labels or another kind is a defect and aborts.
class Registry {
 public:
  Registry();
  ~Registry();
  Registry(const Registry&) = delete;

  Family<Counter>& counters(std::string_view name, std::string_view help,
                            std::vector<std::string> labels = {});
  Family<Gauge>& gauges(std::string_view name, std::string_view help,
                        std::vector<std::string> labels = {});
  Family<Histogram>& histograms(std::string_view name, std::string_view help,
                                std::vector<std::string> labels = {},
                                std::vector<double> bounds = LatencyBounds());
  /// A number that is read when somebody asks. `read` is called under the registry's lock.
  void Observe(std::string_view name, std::string_view help, std::function<double()> read);

  /// The same with one label: a sample for each value that `read` gives. A counter if the name ends
  /// in _total.
  void ObserveBy(std::string_view name, std::string_view help, std::string_view label,
                 std::function<std::map<std::string, double>()> read);

  /// Everything, sorted by name.
  std::vector<Reading> Collect() const;
  /// The same as text/plain; version=0.0.4.
  std::string Exposition() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

/// The registry of the process. Never destroyed.
Registry& Metrics();

}  // namespace sallyport::obs
