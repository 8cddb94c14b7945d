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

std::string_view TypeName(Reading::Kind kind) {
  switch (kind) {
    case Reading::Kind::counter:
      return "counter";
    case Reading::Kind::gauge:
      return "gauge";
    case Reading::Kind::histogram:
      return "histogram";
  }
  return "untyped";
}

/// The lines of one series.
void AppendSamples(std::string& out, const Reading& reading, const Reading::Sample& sample) {
  const auto add = [&](std::string_view suffix, std::string_view extra, std::string_view number) {
    AppendSample(out, reading.name + std::string(suffix), reading.labels, sample.values, extra,
                 number);
  };
  if (reading.kind == Reading::Kind::histogram) {
    uint64_t below = 0;
    for (size_t i = 0; i < sample.buckets.size(); ++i) {
      below += sample.buckets[i];
      const bool last = i == reading.bounds.size();
      const std::string le = "le=\"" + (last ? "+Inf" : Number(reading.bounds[i])) + "\"";
      add("_bucket", le, std::to_string(below));
    }
    add("_sum", {}, Number(sample.value));
    add("_count", {}, std::to_string(below));
    return;
  }
  const bool whole = reading.kind == Reading::Kind::counter && sample.value >= 0 &&
                     sample.value < 9e15 && sample.value == std::floor(sample.value);
  add({}, {}, whole ? std::to_string(uint64_t(sample.value)) : Number(sample.value));
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
  struct Source {
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
  std::map<std::string, Source, std::less<>> readings;
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
      std::string(name), Impl::Source{std::string(help), std::string(label), std::move(read)});
}

std::vector<Reading> Registry::Collect() const {
  using Kind = Reading::Kind;
  std::lock_guard lock(impl_->mutex);
  std::vector<Reading> all;
  const auto add = [&](Kind kind, const auto& families, auto sample) {
    for (const auto& [name, family] : families) {
      Reading& reading =
          all.emplace_back(name, family->help_, kind, family->labels_, family->bounds_);
      std::shared_lock series_lock(family->mutex_);
      for (const auto& [values, metric] : family->series_) {
        reading.samples.emplace_back(values);
        sample(*metric, reading.samples.back());
      }
    }
  };
  add(Kind::counter, impl_->counters,
      [](const Counter& c, Reading::Sample& to) { to.value = double(c.value()); });
  add(Kind::gauge, impl_->gauges,
      [](const Gauge& g, Reading::Sample& to) { to.value = g.value(); });
  add(Kind::histogram, impl_->histograms, [](const Histogram& h, Reading::Sample& to) {
    to.value = h.sum();
    for (size_t i = 0; i <= h.bounds_.size(); ++i)
      to.buckets.push_back(h.buckets_[i].load(std::memory_order_relaxed));
  });
  for (const auto& [name, source] : impl_->readings) {
    Reading& reading = all.emplace_back(name, source.help);
    reading.kind = name.ends_with("_total") ? Kind::counter : Kind::gauge;
    if (!source.label.empty()) reading.labels.push_back(source.label);
    for (const auto& [value, number] : source.read()) {
      reading.samples.push_back({.value = number});
      if (!source.label.empty()) reading.samples.back().values.push_back(value);
    }
  }
  std::ranges::sort(all, {}, &Reading::name);
  return all;
}

std::string Registry::Exposition() const {
  std::string out;
  for (const Reading& reading : Collect()) {
    AppendHead(out, reading.name, reading.help, TypeName(reading.kind));
    for (const Reading::Sample& sample : reading.samples) AppendSamples(out, reading, sample);
  }
  return out;
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
