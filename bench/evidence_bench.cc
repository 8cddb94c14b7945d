// What the evidence log does on this machine, against its aims: operations recorded per second,
// latency of a strict intent, verifying, searching, recovering. Prints a table, and JSON to a file.
// usage: evidence_bench [json file] [directory] [entries to search] [GiB to recover]
#include <algorithm>
#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <sys/resource.h>
#include <sys/wait.h>
#include <thread>
#include <unistd.h>
#include <vector>

#include "ledger/entry.h"
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

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;

fs::path g_root;
std::string g_json = "[";

double Seconds(Clock::duration d) { return std::chrono::duration<double>(d).count(); }

/// CPU time of this process, all threads, user and system.
double CpuSeconds() {
  rusage use{};
  ::getrusage(RUSAGE_SELF, &use);
  const auto s = [](const timeval& t) { return double(t.tv_sec) + double(t.tv_usec) / 1e6; };
  return s(use.ru_utime) + s(use.ru_stime);
}

double ThreadCpuSeconds() {
  timespec t{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return double(t.tv_sec) + double(t.tv_nsec) / 1e9;
}

/// One line of the table. `at_least`: the aim is a lower bound. aim 0: none is set.
void Row(const char* what, double value, const char* unit, double aim, bool at_least,
         const std::string& more) {
  const bool met = aim == 0 || (at_least ? value >= aim : value <= aim);
  char line[512];
  std::snprintf(line, sizeof line, "%-44s %12.1f %-12s %s%-10.0f %-7s %s", what, value, unit,
                aim == 0 ? "  " : (at_least ? "≥ " : "≤ "), aim,
                aim == 0 ? "" : (met ? "met" : "MISSED"), more.c_str());
  std::printf("%s\n", line);
  std::fflush(stdout);
  std::snprintf(line, sizeof line,
                "%s\n {\"what\":\"%s\",\"value\":%.3f,\"unit\":\"%s\",\"aim\":%.3f,\"met\":%s}",
                g_json.size() > 1 ? "," : "", what, value, unit, aim, met ? "true" : "false");
  g_json += line;
}

template <class... A>
std::string Text(const char* format, A... values) {
  char line[256];
  std::snprintf(line, sizeof line, format, values...);
  return line;
}

[[noreturn]] void Die(const std::string& why) {
  std::fprintf(stderr, "evidence_bench: %s\n", why.c_str());
  std::exit(1);
}

Options BenchOptions(const std::string& name) {
  Options options;
  options.data_dir = g_root / name;
  options.origin = "gate.example.com/bench";
  options.signing_key = Secret(std::string(32, 'b'));
  return options;
}

std::unique_ptr<Ledger> OpenOrDie(Options options) {
  auto ledger = Ledger::Open(std::move(options));
  if (!ledger) Die(ledger.error().detail);
  return *std::move(ledger);
}

op::Payload Json(const std::string& text) {
  return {.text = mask::Seal::Of(text), .json = true, .total_bytes = text.size(), .complete = true};
}

/// A call of an agent with a 500-byte argument object, as the gate records it.
op::Evidence Intent() {
  op::Evidence e;
  e.type = op::EventType::call_intent;
  e.at = 1'795'200'001'000'000'000;
  e.session = 0;
  e.operation = 17;
  e.connection = "payments";
  e.method = "tools/call";
  e.resource = "get_order";
  e.decision_id = "d_0123456789abcdef";
  e.verdict = op::Verdict::allow;
  e.rules = {"support-reads-orders"};
  e.policy_version = "0123456789abcdef";
  e.request = Json(R"({"id":"o_1a2b3c4d","note":")" + std::string(440, 'n') + "\"}");
  return e;
}

op::Evidence Outcome(uint64_t intent) {
  op::Evidence e;
  e.type = op::EventType::call_outcome;
  e.at = 1'795'200'001'002'000'000;
  e.session = 0;
  e.operation = 17;
  e.intent = intent;
  e.result = Json(R"({"id":"o_1a2b3c4d","status":"paid","note":")" + std::string(440, 'r') + "\"}");
  return e;
}

Task<uint64_t> Append(Ledger& ledger, const op::Evidence& e) {
  // As the gate does: who can wait, waits where much is unpublished.
  if (ledger.pressed()) co_return co_await ledger.AppendStrict(EncodeEntry(e));
  co_return co_await ledger.AppendSoon(EncodeEntry(e));
}

boost::asio::awaitable<void> Calls(Ledger& ledger, const std::atomic<bool>& go, uint64_t& done) {
  op::Evidence intent = Intent();
  while (go.load(std::memory_order_relaxed)) {
    const auto index = co_await Append(ledger, intent);
    if (!index) continue;
    if (co_await Append(ledger, Outcome(*index))) ++done;
  }
}

void Operations(double seconds) {
  auto ledger = OpenOrDie(BenchOptions("group"));
  std::atomic<bool> go{true};
  uint64_t done[2] = {0, 0};
  const double cpu = CpuSeconds();
  const auto begun = Clock::now();
  std::vector<std::thread> shards;
  for (uint64_t& mine : done) {
    shards.emplace_back([&] {
      boost::asio::io_context context{1};
      for (int i = 0; i < 32; ++i)
        boost::asio::co_spawn(context, Calls(*ledger, go, mine), boost::asio::detached);
      context.run();
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  go = false;
  for (auto& shard : shards) shard.join();
  const double wall = Seconds(Clock::now() - begun), used = CpuSeconds() - cpu;
  const double operations = double(done[0] + done[1]);
  Row("evidenced operations, group, 2 shards", operations / wall, "/s", 25'000, true,
      Text("%.1f us of CPU each", used / operations * 1e6));
  if (!ledger->Close()) Die("close failed");
}

void Strict(int callers, double seconds) {
  auto ledger = OpenOrDie(BenchOptions("strict" + std::to_string(callers)));
  const std::string entry = EncodeEntry(Intent());
  std::atomic<bool> go{true};
  std::vector<std::vector<double>> all(static_cast<size_t>(callers));
  std::vector<std::thread> threads;
  for (auto& mine : all) {
    threads.emplace_back([&] {
      while (go.load(std::memory_order_relaxed)) {
        const auto from = Clock::now();
        if (ledger->AppendStrictBlocking(entry)) mine.push_back(Seconds(Clock::now() - from) * 1e6);
      }
    });
  }
  std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
  go = false;
  for (auto& t : threads) t.join();
  std::vector<double> v;
  for (const auto& mine : all) v.insert(v.end(), mine.begin(), mine.end());
  if (v.empty()) Die("no strict entry in time");
  std::sort(v.begin(), v.end());
  Row(Text("strict intent, p99, %d callers", callers).c_str(), v[v.size() * 99 / 100], "us", 0,
      false, Text("p50 %.0f us, %.0f/s", v[v.size() / 2], double(v.size()) / seconds));
  (void)ledger->Close();
}

void Verifying() {
  const double cpu = CpuSeconds();
  const auto begun = Clock::now();
  const VerifyReport report = VerifyDataDir(g_root / "group");
  const double wall = Seconds(Clock::now() - begun), used = CpuSeconds() - cpu;
  if (!report.ok()) Die(report.Text());
  Row("audit verify, entries per second of CPU", double(report.entries) / used, "/s", 200'000, true,
      Text("%.0f entries, %.0f/s by the clock", double(report.entries),
           double(report.entries) / wall));
}

/// 500 entries a session, 20 sessions a person: as many persons as that makes.
void Searching(uint64_t entries) {
  {
    auto ledger = OpenOrDie(BenchOptions("search"));
    const auto append = [&](const std::string& entry) {
      for (;;) {
        const auto index = ledger->Append(entry);
        if (index) return *index;
        if (!ledger->healthy()) Die("the ledger has failed");
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
      }
    };
    op::Session session;
    session.who.issuer = "https://idp.example.com";
    op::Evidence opened, intent, outcome;
    opened.type = op::EventType::auth_success;
    intent.type = op::EventType::call_intent;
    intent.connection = "payments", intent.method = "tools/call";
    intent.verdict = op::Verdict::allow, intent.policy_version = "0123456789abcdef";
    outcome.type = op::EventType::call_outcome;
    const uint64_t persons = std::max<uint64_t>(1, entries / 10'000);
    for (uint64_t i = 0; i < entries;) {
      const uint64_t number = i / 500;
      session.id = "s_" + std::to_string(number);
      session.who.subject = "person-" + std::to_string(number % persons);
      opened.opened = &session;
      opened.at = intent.at = outcome.at = Nanos(1'795'200'001'000'000'000 + i * 1'000'000);
      const uint64_t first = append(EncodeEntry(opened));
      ++i;
      intent.session = outcome.session = first;
      for (int call = 0; call < 249; ++call) {
        intent.operation = outcome.operation = uint64_t(call);
        intent.resource = call % 2 == 0 ? "get_order" : "refund";
        outcome.intent = append(EncodeEntry(intent));
        append(EncodeEntry(outcome));
        i += 2;
      }
      ++i;
    }
    if (!ledger->Close()) Die("close failed");
  }
  const auto built = Clock::now();
  SearchCriteria nobody;
  nobody.person = "nobody";
  if (!Search(g_root / "search", nobody)) Die("search failed");
  const double build = Seconds(Clock::now() - built);
  SearchCriteria criteria;
  criteria.person = "person-" + std::to_string(std::max<uint64_t>(1, entries / 10'000) / 3);
  double cpu = CpuSeconds();
  const auto begun = Clock::now();
  const auto found = Search(g_root / "search", criteria);
  const double wall = Seconds(Clock::now() - begun);
  cpu = CpuSeconds() - cpu;
  if (!found || found->empty()) Die("nothing found");
  Row(Text("search for a person in %.0f entries", double(entries)).c_str(), wall, "s", 1, false,
      Text("%zu shown, %.2f s of CPU; the index once: %.0f s", found->size(), cpu, build));
}

/// A child that is killed before anything of it is published.
void Recovering(double gib) {
  const std::string entry = EncodeEntry(Intent());
  const uint64_t entries = uint64_t(gib * double(1 << 30)) / (entry.size() + 17);
  const pid_t child = ::fork();
  if (child == 0) {
    Options options = BenchOptions("recover");
    options.checkpoint_interval = std::chrono::hours(1);
    options.queue_limit = size_t(1) << 40;
    options.queue_bytes = size_t(1) << 40;
    auto ledger = Ledger::Open(std::move(options));
    if (!ledger) _exit(1);
    for (uint64_t i = 0; i < entries; ++i) {
      if (!(*ledger)->Append(entry)) _exit(2);
    }
    ::sync();  // as the committer would have done all along
    _exit(0);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) Die("the child could not write");
  const double cpu = ThreadCpuSeconds();
  const auto begun = Clock::now();
  auto ledger = OpenOrDie(BenchOptions("recover"));
  const double wall = Seconds(Clock::now() - begun), used = ThreadCpuSeconds() - cpu;
  if (ledger->recovery().replayed != entries) Die("not all entries were recovered");
  Row("recovery, per GiB of write-ahead log", wall / gib, "s", 2, false,
      Text("%.0f entries; %.2f s of CPU per GiB until it takes entries", double(entries),
           used / gib));
  (void)ledger->Close();
}

}  // namespace
}  // namespace sallyport::ledger

int main(int argc, char** argv) {
  using namespace sallyport::ledger;
  const std::string json = argc > 1 ? argv[1] : "evidence_bench.json";
  std::string root = std::string(argc > 2 ? argv[2] : ".") + "/evidence-bench-XXXXXX";
  const uint64_t entries = argc > 3 ? std::strtoull(argv[3], nullptr, 10) : 10'000'000;
  const double gib = argc > 4 ? std::atof(argv[4]) : 1;
  if (::mkdtemp(root.data()) == nullptr) return 1;
  g_root = root;
  const auto clean = [](const char* name) {
    std::error_code ignored;
    fs::remove_all(g_root / name, ignored);
  };
  std::printf("%-44s %12s %-12s %-12s\n", "", "", "", "aim");
  Operations(5);
  Verifying();
  clean("group");
  Strict(1, 3);
  Strict(64, 3);
  Recovering(gib);
  clean("recover");
  Searching(entries);
  clean("search");
  clean("");
  g_json += "\n]\n";
  if (std::FILE* out = std::fopen(json.c_str(), "w")) {
    std::fputs(g_json.c_str(), out);
    std::fclose(out);
  }
  return 0;
}
