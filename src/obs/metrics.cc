#include "obs/metrics.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <mutex>

#include "obs/log.h"

namespace sallyport::obs {
namespace {

constexpr std::string_view kOther = "_other";

[[noreturn]] void Misuse(std::string_view name, const char* what) {
  std::fprintf(stderr, "metric %.*s: %s\n", int(name.size()), name.data(), what);
  std::abort();
}

bool NameFits(std::string_view name) {
  if (name.empty() || (name[0] >= '0' && name[0] <= '9')) return false;
  return std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
  });
}

std::string Number(double value) {
  if (std::isnan(value)) return "NaN";
  if (std::isinf(value)) return value > 0 ? "+Inf" : "-Inf";
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

void AppendEscaped(std::string& out, std::string_view text, bool quotes) {
  for (const char c : text) {
    if (c == '\\') {
      out += "\\\\";
    } else if (c == '\n') {
      out += "\\n";
    } else if (c == '"' && quotes) {
      out += "\\\"";
    } else {
      out += c;
    }
  }
}

void AppendHead(std::string& out, std::string_view name, std::string_view help,
                std::string_view type) {
  out.append("# HELP ").append(name).append(" ");
  AppendEscaped(out, help, false);
  out.append("\n# TYPE ").append(name).append(" ").append(type).append("\n");
}

/// `name{a="x",le="1"} value`; `extra` is a ready label or empty.
void AppendSample(std::string& out, std::string_view name, const std::vector<std::string>& labels,
                  const std::vector<std::string>& values, std::string_view extra,
                  std::string_view number) {
  out += name;
  if (!labels.empty() || !extra.empty()) {
    out += '{';
    for (size_t i = 0; i < labels.size(); ++i) {
      if (i > 0) out += ',';
      out.append(labels[i]).append("=\"");
      AppendEscaped(out, values[i], true);
      out += '"';
    }
    if (!extra.empty()) {
      if (!labels.empty()) out += ',';
      out += extra;
    }
    out += '}';
  }
  out.append(" ").append(number).append("\n");
}

template <class Metric>
std::unique_ptr<Metric> Make(const std::vector<double>& bounds) {
  if constexpr (std::is_same_v<Metric, Histogram>) {
    return std::make_unique<Histogram>(bounds);
  } else {
    return std::make_unique<Metric>();
  }
}

}  // namespace

size_t Counter::Slot() {
  static std::atomic<size_t> next{0};
  thread_local const size_t slot = next.fetch_add(1, std::memory_order_relaxed) % kCells;
  return slot;
}

uint64_t Counter::value() const {
  uint64_t sum = 0;
  for (const Cell& cell : cells_) sum += cell.value.load(std::memory_order_relaxed);
  return sum;
}

Histogram::Histogram(std::vector<double> bounds)
    : bounds_(std::move(bounds)), buckets_(new std::atomic<uint64_t>[bounds_.size() + 1]) {
  for (size_t i = 0; i <= bounds_.size(); ++i) buckets_[i] = 0;
}

void Histogram::Observe(double value) {
  const auto bucket = std::ranges::lower_bound(bounds_, value) - bounds_.begin();
  buckets_[size_t(bucket)].fetch_add(1, std::memory_order_relaxed);
  sum_.fetch_add(value, std::memory_order_relaxed);
}

uint64_t Histogram::count() const {
  uint64_t n = 0;
  for (size_t i = 0; i <= bounds_.size(); ++i) n += buckets_[i].load(std::memory_order_relaxed);
  return n;
}

std::vector<double> LatencyBounds() {
  return {50e-6, 100e-6, 200e-6, 500e-6, 1e-3, 2e-3, 5e-3, 10e-3, 20e-3,
          50e-3, 0.1,    0.2,    0.5,    1,    2,    5,    10};
}

template <class Metric>
Metric& Family<Metric>::With(std::initializer_list<std::string_view> values) {
  if (values.size() != labels_.size()) Misuse(name_, "wrong number of label values");
  std::vector<std::string> key(values.begin(), values.end());
  {
    std::shared_lock lock(mutex_);
    if (auto found = series_.find(key); found != series_.end()) return *found->second;
  }
  std::unique_lock lock(mutex_);
  if (series_.size() >= kSeriesLimit && !series_.contains(key))
    key.assign(labels_.size(), std::string(kOther));
  auto& slot = series_[key];
  if (!slot) slot = Make<Metric>(bounds_);
  return *slot;
}

template class Family<Counter>;
template class Family<Gauge>;
template class Family<Histogram>;

struct Registry::Impl {
  struct Reading {
    std::string help;
    std::string label;  // empty: one sample without
    std::function<std::map<std::string, double>()> read;
  };

  template <class Metric>
  using Families = std::map<std::string, std::unique_ptr<Family<Metric>>, std::less<>>;

  /// The family `name` out of `families`, made if it is new.
  template <class Metric>
  Family<Metric>& Get(Families<Metric>& families, std::string_view name, std::string_view help,
                      std::vector<std::string> labels, std::vector<double> bounds) {
    std::lock_guard lock(mutex);
    if (auto found = families.find(name); found != families.end()) {
      if (found->second->labels_ != labels) Misuse(name, "asked for with other labels");
      return *found->second;
    }
    if (!NameFits(name) || !std::ranges::all_of(labels, NameFits)) Misuse(name, "is not a name");
    if (counters.contains(name) || gauges.contains(name) || histograms.contains(name) ||
        readings.contains(name))
      Misuse(name, "asked for as another kind");
    auto family = std::make_unique<Family<Metric>>();
    family->name_ = name;
    family->help_ = help;
    family->labels_ = std::move(labels);
    family->bounds_ = std::move(bounds);
    return *families.emplace(name, std::move(family)).first->second;
  }

  mutable std::mutex mutex;
  Families<Counter> counters;
  Families<Gauge> gauges;
  Families<Histogram> histograms;
  std::map<std::string, Reading, std::less<>> readings;
};

Registry::Registry() : impl_(std::make_unique<Impl>()) {}
Registry::~Registry() = default;

Family<Counter>& Registry::counters(std::string_view name, std::string_view help,
                                    std::vector<std::string> labels) {
  return impl_->Get(impl_->counters, name, help, std::move(labels), {});
}

Family<Gauge>& Registry::gauges(std::string_view name, std::string_view help,
                                std::vector<std::string> labels) {
  return impl_->Get(impl_->gauges, name, help, std::move(labels), {});
}

Family<Histogram>& Registry::histograms(std::string_view name, std::string_view help,
                                        std::vector<std::string> labels,
                                        std::vector<double> bounds) {
  std::ranges::sort(bounds);
  return impl_->Get(impl_->histograms, name, help, std::move(labels), std::move(bounds));
}

void Registry::Observe(std::string_view name, std::string_view help, std::function<double()> read) {
  ObserveBy(name, help, {}, [read = std::move(read)] {
    return std::map<std::string, double>{{std::string(), read()}};
  });
}

void Registry::ObserveBy(std::string_view name, std::string_view help, std::string_view label,
                         std::function<std::map<std::string, double>()> read) {
  if (!NameFits(name) || (!label.empty() && !NameFits(label))) Misuse(name, "is not a name");
  std::lock_guard lock(impl_->mutex);
  impl_->readings.insert_or_assign(
      std::string(name), Impl::Reading{std::string(help), std::string(label), std::move(read)});
}

std::string Registry::Exposition() const {
  std::lock_guard lock(impl_->mutex);
  std::map<std::string_view, std::string> parts;  // sorted across kinds
  for (const auto& [name, family] : impl_->counters) {
    std::string& out = parts[name];
    AppendHead(out, name, family->help_, "counter");
    std::shared_lock series_lock(family->mutex_);
    for (const auto& [values, counter] : family->series_)
      AppendSample(out, name, family->labels_, values, {}, std::to_string(counter->value()));
  }
  for (const auto& [name, family] : impl_->gauges) {
    std::string& out = parts[name];
    AppendHead(out, name, family->help_, "gauge");
    std::shared_lock series_lock(family->mutex_);
    for (const auto& [values, gauge] : family->series_)
      AppendSample(out, name, family->labels_, values, {}, Number(gauge->value()));
  }
  for (const auto& [name, family] : impl_->histograms) {
    std::string& out = parts[name];
    AppendHead(out, name, family->help_, "histogram");
    std::shared_lock series_lock(family->mutex_);
    for (const auto& [values, histogram] : family->series_) {
      uint64_t below = 0;
      for (size_t i = 0; i <= histogram->bounds_.size(); ++i) {
        below += histogram->buckets_[i].load(std::memory_order_relaxed);
        const bool last = i == histogram->bounds_.size();
        const std::string le = "le=\"" + (last ? "+Inf" : Number(histogram->bounds_[i])) + "\"";
        AppendSample(out, name + "_bucket", family->labels_, values, le, std::to_string(below));
      }
      AppendSample(out, name + "_sum", family->labels_, values, {}, Number(histogram->sum()));
      AppendSample(out, name + "_count", family->labels_, values, {}, std::to_string(below));
    }
  }
  for (const auto& [name, reading] : impl_->readings) {
    std::string& out = parts[name];
    AppendHead(out, name, reading.help, name.ends_with("_total") ? "counter" : "gauge");
    for (const auto& [value, number] : reading.read()) {
      if (reading.label.empty())
        AppendSample(out, name, {}, {}, {}, Number(number));
      else
        AppendSample(out, name, {reading.label}, {value}, {}, Number(number));
    }
  }
  std::string all;
  for (const auto& [name, part] : parts) all += part;
  return all;
}

Registry& Metrics() {
  static Registry* registry = [] {
    auto* made = new Registry;
    made->Observe("sallyport_log_lines_dropped_total", "Log lines that could not be written.",
                  [] { return double(LinesDropped()); });
    return made;
  }();
  return *registry;
}

}  // namespace sallyport::obs
