#include <benchmark/benchmark.h>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "mask/corpus_format.h"
#include "mask/masker.h"
#include "mask/scan.h"
#include "mask/text_stream.h"

#ifdef SALLYPORT_BENCH_HYPERSCAN
#include <hs/hs.h>
#endif

// How fast card numbers are looked for, on one core: (a) JSON tool output with 6 % digits and one
// card per 64 KiB, (b) CSV with 85 % digits and a card in 2 % of the rows. `Find` is the whole
// detector (what the product runs), `Scan` its first look, beside memcpy and a Hyperscan pattern
// for 13 to 19 grouped digits without verification.

namespace sallyport::mask {
namespace {

constexpr size_t kSet = 64 << 20;

class Maker {
 public:
  explicit Maker(uint32_t seed) : rng_(seed) {}
  uint32_t Below(uint32_t n) { return uint32_t(rng_() % n); }
  std::string Digits(int n) {
    std::string s(1, char('1' + Below(9)));
    while (int(s.size()) < n) s += char('0' + Below(10));
    return s;
  }
  std::string Hex(int n) {
    std::string s;
    while (int(s.size()) < n) s += "0123456789abcdef"[Below(16)];
    return s;
  }
  std::string Card() {
    static const char* const kPrefixes[] = {"411111", "555555", "222300",
                                            "601111", "353011", "620000"};
    std::string s = kPrefixes[Below(6)];
    while (s.size() < 15) s += char('0' + Below(10));
    int sum = 0;
    for (size_t i = 0; i < 15; i++) {
      const int d = s[14 - i] - '0';
      sum += i % 2 ? d : d * 2 > 9 ? d * 2 - 9 : d * 2;
    }
    s += char('0' + (10 - sum % 10) % 10);
    if (Below(2) == 0) return s;
    return s.substr(0, 4) + "-" + s.substr(4, 4) + "-" + s.substr(8, 4) + "-" + s.substr(12);
  }

 private:
  std::mt19937 rng_;
};

std::string JsonMessage(Maker& m, size_t id, size_t sentences, const std::string& insert) {
  static const char* const kWords[] = {
      "the",      "customer", "requested",   "a",         "refund",    "for",       "order",
      "shipment", "delayed",  "because",     "warehouse", "in",        "Berlin",    "was",
      "closed",   "please",   "check",       "status",    "and",       "update",    "ticket",
      "with",     "latest",   "information", "from",      "carrier",   "agent",     "assigned",
      "priority", "manager",  "notified",    "by",        "yesterday", "following", "policy",
      "review",   "team",     "will"};
  std::string o = "{\"jsonrpc\":\"2.0\",\"id\":" + std::to_string(id) +
                  ",\"result\":{\"content\":[{\"type\":\"text\",\"text\":\"";
  for (size_t s = 0; s < sentences; s++) {
    for (uint32_t n = 8 + m.Below(14); n > 0; n--)
      o += kWords[m.Below(38)], o += m.Below(60) ? " "
                                                 : " \xc3\xbc"
                                                   "ber ";
    o += s % 2 ? ".\\n" : ". ";
  }
  o += insert;
  o += "\"}],\"structuredContent\":{\"ticket\":\"TCK-" + m.Digits(5) +
       "\",\"status\":\"open\",\"created_at\":\"2025-0" + m.Digits(1) + "-1" + m.Digits(1) + "T1" +
       m.Digits(1) + ":30:00Z\",\"request_id\":\"" + m.Hex(8) + "-" + m.Hex(4) + "-4" + m.Hex(3) +
       "-a" + m.Hex(3) + "-" + m.Hex(12) + "\",\"amount\":" + m.Digits(3) + "." + m.Digits(2) +
       ",\"tags\":[\"a\",\"b\"]},\"isError\":false}}\n";
  return o;
}

const std::string& LowDigit() {
  static const std::string set = [] {
    Maker m(1);
    std::string o;
    size_t next = 65536;
    for (size_t id = 1; o.size() < kSet; id++) {
      const bool card = o.size() > next;
      if (card) next += 65536;
      o += JsonMessage(m, id, 3 + m.Below(6), card ? "card " + m.Card() : "");
    }
    return o;
  }();
  return set;
}

const std::string& Dense() {
  static const std::string set = [] {
    Maker m(2);
    std::string o;
    for (size_t id = 10000000; o.size() < kSet; id++) {
      o += std::to_string(id) + ",17" + m.Digits(11) + "," + m.Digits(16) + ",+1" + m.Digits(10) +
           "," + m.Digits(6) + "." + m.Digits(2) + "," + m.Digits(12) + ",";
      if (m.Below(50) == 0) o += m.Card();
      o += ",4" + m.Digits(1) + "." + m.Digits(13) + ",2025-01-" + m.Digits(2) + " 1" +
           m.Digits(1) + ":22:33," + m.Digits(5) + "\n";
    }
    return o;
  }();
  return set;
}

const std::string& Set(int64_t which) { return which == 0 ? LowDigit() : Dense(); }

const std::shared_ptr<const Masker>& TestMasker() {
  static const auto masker = *Masker::Make(DefaultDetectors(), Secret("0123456789abcdef"));
  return masker;
}

void Rate(benchmark::State& state, size_t bytes) {
  state.SetBytesProcessed(int64_t(state.iterations()) * int64_t(bytes));
}

void Memcpy(benchmark::State& state) {
  const std::string& set = Set(state.range(0));
  std::string to(set.size(), '\0');
  for (auto _ : state) {
    std::memcpy(to.data(), set.data(), set.size());
    benchmark::ClobberMemory();
  }
  Rate(state, set.size());
}
BENCHMARK(Memcpy)->Arg(0)->Arg(1);

void Scan(benchmark::State& state) {
  const std::string& set = Set(state.range(0));
  size_t regions = 0;
  for (auto _ : state) {
    ScanResult result;
    ScanText(set, 0, result);
    regions = result.regions.size();
  }
  state.counters["regions"] = double(regions);
  Rate(state, set.size());
}
BENCHMARK(Scan)->Arg(0)->Arg(1);

void Find(benchmark::State& state) {
  const std::string& set = Set(state.range(0));
  size_t found = 0;
  for (auto _ : state) {
    std::vector<Finding> findings;
    TestMasker()->FindText(set, {}, findings);
    found = findings.size();
  }
  state.counters["found"] = double(found);
  Rate(state, set.size());
}
BENCHMARK(Find)->Arg(0)->Arg(1);

/// The same from the cache, as a message is that was just read from a socket.
void FindHot(benchmark::State& state) {
  const std::string_view set = std::string_view(Set(state.range(0))).substr(1 << 20, 60 << 10);
  for (auto _ : state) {
    std::vector<Finding> findings;
    TestMasker()->FindText(set, {}, findings);
    benchmark::DoNotOptimize(findings);
  }
  Rate(state, set.size());
}
BENCHMARK(FindHot)->Arg(0)->Arg(1);

/// The same through the stream, in pieces of 1,448 bytes (a TCP segment) and 16 KiB.
void Stream(benchmark::State& state) {
  const std::string_view set = std::string_view(Set(state.range(0))).substr(1 << 20, 60 << 10);
  const auto piece = size_t(state.range(1));
  std::string out;
  for (auto _ : state) {
    out.clear();
    TextStream stream(TestMasker(), {});
    for (size_t at = 0; at < set.size(); at += piece) stream.Feed(set.substr(at, piece), out);
    stream.Finish(out);
    benchmark::DoNotOptimize(out.data());
  }
  Rate(state, set.size());
}
BENCHMARK(Stream)->ArgsProduct({{0, 1}, {1448, 16 << 10}});

/// One message: nothing in it, or one card.
void Message(benchmark::State& state) {
  Maker m(3);
  std::string json = JsonMessage(m, 7, size_t(state.range(0)) / 128,
                                 state.range(1) ? "card 4111111111111111" : "");
  std::string out;
  for (auto _ : state) {
    out.clear();
    Tally tally;
    benchmark::DoNotOptimize(TestMasker()->MaskJson(json, {}, out, tally));
  }
  state.counters["bytes"] = double(json.size());
  Rate(state, json.size());
}
BENCHMARK(Message)->ArgsProduct({{1 << 10, 16 << 10, 64 << 10}, {0, 1}});

#ifdef SALLYPORT_BENCH_HYPERSCAN
void Hyperscan(benchmark::State& state) {
  const std::string& set = Set(state.range(0));
  hs_database_t* db = nullptr;
  hs_compile_error_t* error = nullptr;
  if (hs_compile("[0-9]([ -]?[0-9]){12,18}", 0, HS_MODE_BLOCK, nullptr, &db, &error) !=
      HS_SUCCESS) {
    state.SkipWithError("hs_compile");
    return;
  }
  hs_scratch_t* scratch = nullptr;
  hs_alloc_scratch(db, &scratch);
  for (auto _ : state) {
    uint64_t hits = 0;
    hs_scan(
        db, set.data(), unsigned(set.size()), 0, scratch,
        [](unsigned, unsigned long long, unsigned long long, unsigned, void* n) {
          ++*static_cast<uint64_t*>(n);
          return 0;
        },
        &hits);
    benchmark::DoNotOptimize(hits);
  }
  Rate(state, set.size());
  hs_free_scratch(scratch);
  hs_free_database(db);
}
BENCHMARK(Hyperscan)->Arg(0)->Arg(1);
#endif

}  // namespace
}  // namespace sallyport::mask
