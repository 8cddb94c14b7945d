// What recording costs: entries per second and latency of an append by durability and number of
// callers, of encoding, verifying, proving and recovering. usage: ledger_bench [seconds per case]
// [directory]
#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ledger/entry.h"
#include "ledger/proof.h"
#include "ledger/search.h"
#include "ledger/verify.h"
#include "ledger/writer.h"

namespace sallyport::mask {

/// The benchmark's stand-in for the masking engine.
class Seal {
 public:
  static MaskedText Of(std::string text) { return MaskedText(std::move(text)); }
};

}  // namespace sallyport::mask

namespace sallyport::ledger {
namespace {

using Clock = std::chrono::steady_clock;
namespace fs = std::filesystem;

double Micros(Clock::duration d) { return std::chrono::duration<double, std::micro>(d).count(); }

fs::path g_root;

Options BenchOptions(const std::string& name) {
  Options options;
  options.data_dir = g_root / name;
  options.origin = "gate.example.com/bench";
  options.signing_key = Secret(std::string(32, 'b'));
  return options;
}

/// A call of an agent with a 500-byte argument object, as the gate records it.
op::Evidence TypicalIntent() {
  op::Evidence e;
  e.type = op::EventType::call_intent;
  e.at = 1'795'200'001'000'000'000;
  e.session = 1234;
  e.operation = 17;
  e.connection = "payments";
  e.method = "tools/call";
  e.resource = "get_order";
  e.decision_id = "d_0123456789abcdef";
  e.verdict = op::Verdict::allow;
  e.rules = {"support-reads-orders"};
  e.policy_version = "0123456789abcdef";
  std::string arguments = R"({"id":"o_1a2b3c4d","fields":["id","customer","amount"],"note":")";
  arguments += std::string(440, 'n') + "\"}";
  e.request = op::Payload{.text = mask::Seal::Of(arguments),
                          .json = true,
                          .total_bytes = arguments.size(),
                          .complete = true};
  e.masked = {{"pan", "/note", 1}};
  return e;
}

void Report(const char* name, int callers, std::vector<std::vector<float>>& all, double seconds,
            uint64_t refused, const Stats& stats) {
  std::vector<float> v;
  for (auto& one : all) v.insert(v.end(), one.begin(), one.end());
  std::sort(v.begin(), v.end());
  const auto at = [&](double q) {
    return v.empty() ? 0.0 : double(v[std::min(v.size() - 1, size_t(q * double(v.size())))]);
  };
  std::printf(
      "%-8s %2d callers %9.0f entries/s  p50 %8.1f us  p99 %8.1f us  p99.9 %9.1f us  batch %6.1f  "
      "refused %llu\n",
      name, callers, double(v.size()) / seconds, at(.5), at(.99), at(.999),
      stats.commits == 0 ? 0.0 : double(v.size()) / double(stats.commits),
      static_cast<unsigned long long>(refused));
  std::fflush(stdout);
}

/// group; strict appends to a log of durability group (a signed checkpoint in the write-ahead log);
/// to one of durability strict (a published checkpoint).
enum class Mode { group, strict, published };
const char* ModeName(Mode mode) {
  return mode == Mode::group ? "group" : mode == Mode::strict ? "strict" : "publish";
}

/// `callers` threads append as fast as they may; one that is refused because the queue is full
/// waits a little.
void Appends(Mode mode, int callers, double seconds, const std::string& entry) {
  const bool strict = mode != Mode::group;
  const std::string name = std::string(ModeName(mode)) + std::to_string(callers);
  Options options = BenchOptions(name);
  if (mode == Mode::published) options.durability = Durability::strict;
  auto ledger = Ledger::Open(std::move(options));
  if (!ledger) {
    std::fprintf(stderr, "%s\n", ledger.error().detail.c_str());
    std::exit(1);
  }
  std::atomic<bool> go{true};
  std::atomic<uint64_t> refused{0};
  std::vector<std::vector<float>> latencies(static_cast<size_t>(callers));
  std::vector<std::thread> threads;
  const auto begun = Clock::now();
  for (int t = 0; t < callers; ++t) {
    threads.emplace_back([&, t] {
      auto& mine = latencies[size_t(t)];
      mine.reserve(1 << 20);
      while (go.load(std::memory_order_relaxed)) {
        const auto from = Clock::now();
        const auto index =
            strict ? (*ledger)->AppendStrictBlocking(entry) : (*ledger)->Append(entry);
        if (index) {
          mine.push_back(float(Micros(Clock::now() - from)));
        } else {
          ++refused;
          ::usleep(200);
        }
      }
    });
  }
  ::usleep(useconds_t(seconds * 1e6));
  go = false;
  for (auto& t : threads) t.join();
  const double elapsed = Micros(Clock::now() - begun) / 1e6;
  const Stats stats = (*ledger)->stats();
  Report(ModeName(mode), callers, latencies, elapsed, refused, stats);
  if (auto closed = (*ledger)->Close(); !closed)
    std::printf("close: %s\n", closed.error().detail.c_str());
  ledger->reset();
  if (!strict && callers == 8) {  // the log this made, for the reading side
    const auto from = Clock::now();
    const VerifyReport report = VerifyDataDir(g_root / name);
    const double s = Micros(Clock::now() - from) / 1e6;
    std::printf("verify   %llu entries in %.2f s: %.0f entries/s, %s\n",
                static_cast<unsigned long long>(report.entries), s, double(report.entries) / s,
                report.ok() ? "ok" : "NOT OK");
    const auto prove_from = Clock::now();
    const auto proof = Prove(g_root / name, report.size / 2);
    std::printf("prove    %.0f us, %zu bytes\n", Micros(Clock::now() - prove_from),
                proof ? proof->size() : 0);
    const auto open_from = Clock::now();
    auto again = Ledger::Open(BenchOptions(name));
    std::printf("open     %.0f ms (clean)\n", Micros(Clock::now() - open_from) / 1000);
  }
  std::error_code ignored;
  fs::remove_all(g_root / name, ignored);
}

/// An even load well below the limit: what one call pays for its entry.
void Paced(bool strict, int per_second, double seconds, const std::string& entry) {
  auto ledger = Ledger::Open(BenchOptions("paced"));
  if (!ledger) std::exit(1);
  std::vector<std::vector<float>> latencies(1);
  const auto begun = Clock::now();
  auto next = begun;
  while (Clock::now() - begun < std::chrono::duration<double>(seconds)) {
    std::this_thread::sleep_until(next += std::chrono::nanoseconds(1'000'000'000 / per_second));
    const auto from = Clock::now();
    const auto index = strict ? (*ledger)->AppendStrictBlocking(entry) : (*ledger)->Append(entry);
    if (index) latencies[0].push_back(float(Micros(Clock::now() - from)));
  }
  const double elapsed = Micros(Clock::now() - begun) / 1e6;
  Report(strict ? "strict*" : "group*", 1, latencies, elapsed, 0, (*ledger)->stats());
  (void)(*ledger)->Close();
  ledger->reset();
  std::error_code ignored;
  fs::remove_all(g_root / "paced", ignored);
}

template <class F>
double NanosEach(F f) {
  constexpr int kTimes = 200'000;
  const auto from = Clock::now();
  for (int i = 0; i < kTimes; ++i) f();
  return Micros(Clock::now() - from) * 1000 / kTimes;
}

void Encoding() {
  const op::Evidence e = TypicalIntent();
  const std::string json = EncodeEntry(e);
  size_t sink = 0;
  std::printf("encode   %zu bytes of JSON: %.0f ns", json.size(),
              NanosEach([&] { sink += EncodeEntry(e).size(); }));
  std::printf(", decode %.0f ns\n", NanosEach([&] { sink += DecodeEntry(json)->event.size(); }));
  // The same members as CBOR: the payload parsed into CBOR, or carried as the JSON text that it is.
  nlohmann::json value = nlohmann::json::parse(json);
  const size_t deep = nlohmann::json::to_cbor(value).size();
  value["req"]["json"] = value["req"]["json"].dump();
  const size_t flat = nlohmann::json::to_cbor(value).size();
  const std::vector<uint8_t> bytes = nlohmann::json::to_cbor(value);
  std::printf(
      "cbor     %zu bytes with the payload converted, %zu with it as text; decode (nlohmann) %.0f "
      "ns\n",
      deep, flat, NanosEach([&] { sink += nlohmann::json::from_cbor(bytes).size(); }));
  if (sink == 0) std::printf("\n");
}

}  // namespace
}  // namespace sallyport::ledger

int main(int argc, char** argv) {
  using namespace sallyport::ledger;
  const double seconds = argc > 1 ? std::atof(argv[1]) : 3;
  std::string root = std::string(argc > 2 ? argv[2] : ".") + "/ledger-bench-XXXXXX";
  if (::mkdtemp(root.data()) == nullptr) return 1;
  g_root = root;
  const std::string entry = EncodeEntry(TypicalIntent());
  std::printf("entry of %zu bytes; * = 1,000 per second by one caller, without load\n",
              entry.size());
  Encoding();
  Paced(false, 1000, seconds, entry);
  Paced(true, 1000, seconds, entry);
  for (const Mode mode : {Mode::group, Mode::strict, Mode::published}) {
    for (const int callers : {1, 8, 64}) Appends(mode, callers, seconds, entry);
  }
  std::error_code ignored;
  fs::remove_all(g_root, ignored);
  return 0;
}
