#include <atomic>
#include <functional>

#include "sql/analysis_cache.h"
#include "sql/analyze.h"
#include "sql/parse.h"
#include "sql/shape.h"
#include "sql/text_analysis.h"

namespace sallyport::sql {
namespace {

using ShapePtr = std::shared_ptr<const ShapeAnswer>;

/// What an answer holds beside its text, roughly.
size_t BytesOf(const Analysis& analysis) {
  size_t bytes = 1024 + analysis.sql.size();
  for (const auto& statement : analysis.text.statements) {
    bytes += 256 + 64 * (statement.columns.size() + statement.relations.size() +
                         2 * statement.functions.size());
  }
  return bytes;
}

}  // namespace

struct Analyzer::Impl {
  explicit Impl(Options o)
      : options(std::move(o)),
        exact(options.cache_entries, options.cache_bytes / 2),
        shapes(options.cache_entries, options.cache_bytes / 2) {}

  AnalysisPtr Judge(std::string_view text, const Catalog& catalog, const SessionNames& names,
                    LruCache<AnalysisPtr>::Key key);

  Options options;
  LruCache<AnalysisPtr> exact;
  LruCache<ShapePtr> shapes;
  std::atomic<uint64_t> exact_hits{0}, shape_hits{0}, misses{0};
};

Analyzer::Analyzer(Options options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Analyzer::~Analyzer() = default;

AnalysisPtr Analyzer::Impl::Judge(std::string_view text, const Catalog& catalog,
                                  const SessionNames& names, LruCache<AnalysisPtr>::Key key) {
  static thread_local Shape shape;
  LruCache<ShapePtr>::Key shape_key{.catalog = key.catalog, .search_path = key.search_path};
  bool shaped = IsText(text) && shape.Read(text);
  if (shaped) {
    shape_key.text = shape.key();
    shape_key.hash = std::hash<std::string_view>{}(shape_key.text);
    if (auto hit = shapes.Find(shape_key)) {
      shape_hits.fetch_add(1, std::memory_order_relaxed);
      return AnswerFor(*hit, shape, text);
    }
  }
  misses.fetch_add(1, std::memory_order_relaxed);
  auto judged = JudgeText(text, catalog, names, options);
  if (!judged.cacheable) return judged.analysis;
  size_t bytes = BytesOf(*judged.analysis);
  if (shaped && !judged.literal_sensitive) {
    auto answer = std::make_shared<ShapeAnswer>(
        ShapeAnswer{judged.analysis, ToKey(shape, std::move(judged.splices))});
    shapes.Insert(shape_key, std::move(answer), bytes + judged.analysis->sql.size());
  }
  exact.Insert(key, judged.analysis, bytes);
  return judged.analysis;
}

AnalysisPtr Analyzer::Analyze(std::string_view text, const std::shared_ptr<const Catalog>& catalog,
                              const SessionNames& names) {
  static const Catalog kNothing{{}};
  const Catalog& known = catalog ? *catalog : kNothing;
  if (text.size() > impl_->options.limits.max_bytes) {
    impl_->misses.fetch_add(1, std::memory_order_relaxed);
    return JudgeText(text, known, names, impl_->options).analysis;
  }
  LruCache<AnalysisPtr>::Key key{.hash = std::hash<std::string_view>{}(text),
                                 .catalog = known.id(),
                                 .search_path = &names.search_path,
                                 .text = text};
  if (auto hit = impl_->exact.Find(key)) {
    impl_->exact_hits.fetch_add(1, std::memory_order_relaxed);
    return hit;
  }
  return impl_->Judge(text, known, names, key);
}

Analyzer::Stats Analyzer::stats() const {
  return {
      .exact_hits = impl_->exact_hits, .shape_hits = impl_->shape_hits, .misses = impl_->misses};
}

}  // namespace sallyport::sql
