#include <benchmark/benchmark.h>
#include <string>

#include "sql/analyze.h"
#include "sql/lab_for_tests.h"

// The cost of a verdict about a statement: seen before, seen with other literals, and never seen.

namespace sallyport::sql {
namespace {

constexpr const char* kOneRow = "SELECT score FROM customers WHERE id = ";

std::string TenWayJoin() {
  std::string text = "SELECT a0.id, a1.id, a9.id FROM payments a0";
  for (int i = 1; i < 10; ++i) {
    const std::string n = std::to_string(i), before = std::to_string(i - 1);
    text += " JOIN payments a" + n + " ON a" + n + ".id = a" + before + ".customer_id";
  }
  return text + " WHERE a0.id = 4711 AND a9.status = 'open'";
}

std::string Values(int count) {
  std::string text = "SELECT id FROM payments WHERE id IN (1";
  for (int i = 2; i <= count; ++i) text += ", " + std::to_string(i * 7919);
  return text + ")";
}

void Judge(benchmark::State& state, Analyzer& analyzer, const std::vector<std::string>& texts) {
  const auto catalog = LabCatalog();
  size_t i = 0;
  for (auto _ : state) {
    auto analysis = analyzer.Analyze(texts[i++ % texts.size()], catalog, SessionNames{});
    if (analysis->route == Route::refused) state.SkipWithError(analysis->refusal.detail.c_str());
    benchmark::DoNotOptimize(analysis);
  }
}

void SeenBefore(benchmark::State& state) {
  Analyzer analyzer({});
  Judge(state, analyzer, {kOneRow + std::to_string(4711)});
}
BENCHMARK(SeenBefore);

void SeenWithOtherLiterals(benchmark::State& state) {
  Analyzer analyzer({.cache_entries = 64});
  std::vector<std::string> texts;
  for (int i = 0; i < 4096; ++i) texts.push_back(kOneRow + std::to_string(10'000 + i));
  Judge(state, analyzer, texts);
}
BENCHMARK(SeenWithOtherLiterals);

void Cold(benchmark::State& state, const std::string& text) {
  Analyzer analyzer({.cache_entries = 0});
  Judge(state, analyzer, {text});
}
BENCHMARK_CAPTURE(Cold, one_row, kOneRow + std::to_string(4711));
BENCHMARK_CAPTURE(Cold, ten_way_join, TenWayJoin())->Unit(benchmark::kMicrosecond);
BENCHMARK_CAPTURE(Cold, thousand_values, Values(1000))->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace sallyport::sql
