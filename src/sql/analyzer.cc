#include <atomic>
#include <functional>

#include "sql/analysis_cache.h"
#include "sql/analyze.h"
#include "sql/text_analysis.h"

namespace sallyport::sql {

struct Analyzer::Impl {
  explicit Impl(Options o)
      : options(std::move(o)), exact(options.cache_entries, options.cache_bytes) {}

  Options options;
  LruCache<AnalysisPtr> exact;
  std::atomic<uint64_t> exact_hits{0}, shape_hits{0}, misses{0};
};

Analyzer::Analyzer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Analyzer::~Analyzer() = default;

AnalysisPtr Analyzer::Analyze(std::string_view text, const std::shared_ptr<const Catalog>& catalog,
                              const SessionNames& names) {
  static const Catalog kNothing{{}};
  const Catalog& known = catalog ? *catalog : kNothing;
  bool small = text.size() <= impl_->options.limits.max_bytes;
  LruCache<AnalysisPtr>::Key key{
      .catalog = known.id(), .search_path = &names.search_path, .text = text};
  if (small) {
    key.hash = std::hash<std::string_view>{}(text);
    if (auto hit = impl_->exact.Find(key)) {
      impl_->exact_hits.fetch_add(1, std::memory_order_relaxed);
      return hit;
    }
  }
  impl_->misses.fetch_add(1, std::memory_order_relaxed);
  auto judged = JudgeText(text, known, names, impl_->options);
  if (small && judged.cacheable) {
    impl_->exact.Insert(key, judged.analysis, judged.analysis->sql.size() + 1024);
  }
  return judged.analysis;
}

Analyzer::Stats Analyzer::stats() const {
  return {
      .exact_hits = impl_->exact_hits, .shape_hits = impl_->shape_hits, .misses = impl_->misses};
}

}  // namespace sallyport::sql
