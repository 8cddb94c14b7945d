#include <benchmark/benchmark.h>
#include <random>
#include <string>
#include <vector>

#include "pg/frame.h"
#include "pg/row_mask.h"

// What looking at rows costs, per row, in runs of 64 KiB as they are read from the server: the rows
// of pg_bench.py (a number, a name, an amount, a time, an MD5), without a classified column and
// with a card number that is masked for its origin; and rows of other kinds.

namespace sallyport::pg {
namespace {

constexpr size_t kRun = 64 << 10;
constexpr uint32_t kRelation = 5000;

struct Column {
  std::string name;
  uint32_t type;
  int16_t attribute = 0;
};

std::string Hex(std::mt19937& rng, size_t n) {
  std::string s;
  while (s.size() < n) s += "0123456789abcdef"[rng() % 16];
  return s;
}

std::string Cell(const std::string& name, size_t row, std::mt19937& rng) {
  if (name == "id") return std::to_string(row);
  if (name == "card_number") {
    std::string digits = std::to_string(4'000'000'000'000'000 + rng() % 1'000'000'000'000'000);
    return digits;
  }
  if (name == "name") return "customer " + std::to_string(row);
  if (name == "amount") return std::to_string(row / 100) + "." + std::to_string(10 + row % 90);
  if (name == "at") return "2026-01-12 13:46:40+00";
  if (name == "note") return Hex(rng, 32);
  if (name == "uuid")
    return Hex(rng, 8) + "-" + Hex(rng, 4) + "-4" + Hex(rng, 3) + "-a" + Hex(rng, 3) + "-" +
           Hex(rng, 12);
  if (name == "status") return row % 3 == 0 ? "open" : "closed";
  if (name == "number") return std::to_string(100'000'000'000 + rng() % 900'000'000'000);
  if (name == "prose")
    return "The parcel was handed over at the door, the customer asked for a call on Monday "
           "because the invoice of 2026-01-" +
           std::to_string(10 + row % 20) + " had a wrong address.";
  return {};
}

std::string Rows(const std::vector<Column>& columns, size_t& rows) {
  std::mt19937 rng(5);
  std::string out;
  for (rows = 0; out.size() < kRun; ++rows) {
    MessageWriter w(out);
    w.Begin('D').U16(uint16_t(columns.size()));
    for (const Column& c : columns) {
      const std::string cell = Cell(c.name, 700'000 + rows, rng);
      w.U32(uint32_t(cell.size())).Bytes(cell);
    }
    w.End();
  }
  return out;
}

std::shared_ptr<const RowMask> MaskOf(const std::vector<Column>& columns) {
  Shape shape;
  for (const Column& c : columns)
    shape.columns.push_back({.name = c.name,
                             .relation = c.attribute != 0 ? kRelation : 0,
                             .attribute = c.attribute,
                             .type = c.type});
  sql::CatalogRelation wide{.oid = kRelation, .schema = "public", .name = "wide"};
  wide.columns = {{.name = "card_number", .number = 2, .type = 25, .mask = sql::SourceMask::last4},
                  {.name = "other", .number = 1, .type = 25}};
  sql::Catalog::Content content;
  content.relations = {wide};
  const sql::Catalog catalog(std::move(content));
  sql::Analysis analysis;
  analysis.returns_rows = true;
  analysis.route = sql::Route::as_is;
  const std::vector<mask::DetectorSpec> specs{{.name = "pan", .kind = mask::DetectorKind::pan},
                                              {.name = "sad", .kind = mask::DetectorKind::sad}};
  auto masker = mask::Masker::Make(specs, Secret(std::string(32, 'k'))).value();
  return RowMask::Make(shape, analysis, &catalog, std::move(masker)).value();
}

void Look(benchmark::State& state, const std::vector<Column>& columns) {
  const auto mask = MaskOf(columns);
  size_t count = 0;
  const std::string rows = Rows(columns, count);
  RowEdits edits;
  RowTally tally;
  std::string out;
  for (auto _ : state) {
    if (!mask->Find(rows, edits, tally)) return state.SkipWithError("not rows");
    out.clear();
    if (!edits.empty()) edits.Apply(rows, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.SetBytesProcessed(int64_t(state.iterations() * rows.size()));
  state.counters["ns_per_row"] =
      benchmark::Counter(double(state.iterations() * count) / 1e9,
                         benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
}

const std::vector<Column> kPlain = {
    {"id", 23, 1}, {"name", 1043, 1}, {"amount", 1700, 1}, {"at", 1184, 1}, {"note", 25, 1}};
const std::vector<Column> kMasked = {{"id", 23, 1},       {"card_number", 25, 2}, {"name", 1043, 1},
                                     {"amount", 1700, 1}, {"at", 1184, 1},        {"note", 25, 1}};

BENCHMARK_CAPTURE(Look, none_classified, kPlain);
BENCHMARK_CAPTURE(Look, one_masked, kMasked);
BENCHMARK_CAPTURE(Look, computed, {{"id", 25}, {"name", 25}, {"status", 25}, {"note", 25}});
BENCHMARK_CAPTURE(Look, short_texts, {{"status", 25, 1}, {"status", 25, 1}, {"status", 25, 1}});
BENCHMARK_CAPTURE(Look, uuids, {{"uuid", 25, 1}, {"uuid", 2950, 1}});
BENCHMARK_CAPTURE(Look, numbers, {{"number", 20, 1}, {"number", 25, 1}});
BENCHMARK_CAPTURE(Look, prose, {{"prose", 25, 1}, {"name", 25, 1}});
BENCHMARK_CAPTURE(Look, passing, {{"id", 23, 1}, {"at", 1184, 1}, {"uuid", 2950, 1}});

}  // namespace
}  // namespace sallyport::pg
