// gate_at_rest N DIR CORPUS [LEAK]: writes a log of N messages that carry card numbers, masked as
// the gateway masks them, into DIR, which must not exist. Then it is up to scanners to find none:
// `sallyport audit scan DIR`, docs/verify/scan.py DIR. LEAK: every so manieth message is not
// masked, so that they have something to find.
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <thread>

#include "json/document.h"
#include "ledger/entry.h"
#include "ledger/writer.h"
#include "mask/seal.h"
#include "mask/variation_maker.h"

namespace {

using namespace sallyport;

constexpr size_t kLimit = 16 << 10;  // evidence.payload_bytes, as it is by default
constexpr Nanos kBegin = 1'795'200'000'000'000'000;

/// What people write around numbers: the texts of the corpus whose numbers the masking promises to
/// find.
std::vector<std::string> ReadTexts(const char* corpus) {
  std::vector<std::string> texts;
  std::ifstream in(corpus);
  for (std::string line; std::getline(in, line);) {
    const auto document = json::Document::Parse(line, {.max_bytes = 1 << 20, .max_depth = 16});
    if (!document) continue;
    const auto note = document->root()["note"].string().value_or("");
    const auto text = document->root()["text"].string();
    const auto format = document->root()["format"].string().value_or("");
    if (text && format != "sql_row" && note.starts_with("pos/") &&
        (note.contains("/T1") || note.contains("/T2")))
      texts.emplace_back(*text);
  }
  return texts;
}

std::string Message(mask::Maker& maker, const std::vector<std::string>& texts, uint64_t i) {
  std::string out = "{\"id\":" + std::to_string(i) + ",\"note\":";
  json::AppendString(out, texts[i % texts.size()]);
  out += ",\"text\":";
  const std::string pan = maker.Common16();
  const char* const separators[] = {"", " ", "-", "."};
  json::AppendString(
      out, maker.CardWords() + maker.Grouped(pan, separators[i / texts.size() % 4]) + maker.Tail());
  out += ",\"card\":{\"number\":" + (i % 2 == 0 ? "\"" + pan + "\"" : pan) +
         ",\"exp\":\"11/29\",\"cvv\":\"" + maker.Digits(3) + "\"}}";
  return out;
}

/// As the gateway does; `leak`: as if it did not.
std::unique_ptr<op::Payload> Sealed(const mask::Masker& masker, const mask::Masker& nothing,
                                    const std::string& message, bool leak,
                                    std::vector<op::MaskCount>& counts) {
  auto sealed = mask::Seal::Json(leak ? nothing : masker, message, {}, kLimit, counts);
  if (sealed) return std::make_unique<op::Payload>(std::move(*sealed));
  return nullptr;
}

int Run(uint64_t n, const char* dir, const char* corpus, uint64_t leak) {
  const std::vector<std::string> texts = ReadTexts(corpus);
  if (texts.empty() || std::filesystem::exists(dir)) {
    std::fprintf(stderr, "gate_at_rest: no corpus, or %s exists\n", dir);
    return 2;
  }
  auto ledger = ledger::Ledger::Open({.data_dir = dir,
                                      .origin = "gate.example.com/at-rest",
                                      .signing_key = Secret(std::string(32, 'k'))});
  if (!ledger) {
    std::fprintf(stderr, "gate_at_rest: %s\n", ledger.error().detail.c_str());
    return 1;
  }
  const auto masker = mask::TestMasker();
  const auto nothing = *mask::Masker::Make({}, Secret("0123456789abcdef"));
  mask::Maker maker(20'261'122);
  uint64_t masked = 0, withheld = 0;
  const auto begun = std::chrono::steady_clock::now();
  for (uint64_t i = 0; i < n; ++i) {
    op::Evidence e;
    e.type = i % 2 == 0 ? op::EventType::call_intent : op::EventType::call_outcome;
    e.at = kBegin + Nanos(i) * 1'000'003;
    e.connection = "payments";
    e.resource = "get_order";
    e.method = "tools/call";
    const auto payload =
        Sealed(*masker, *nothing, Message(maker, texts, i), leak != 0 && i % leak == 0, e.masked);
    if (!payload) {
      ++withheld;
      continue;
    }
    for (const op::MaskCount& count : e.masked) masked += count.count;
    (i % 2 == 0 ? e.request : e.result) = *payload;
    while (!(*ledger)->Append(ledger::EncodeEntry(e))) {
      if (!(*ledger)->healthy()) return 1;
      std::this_thread::sleep_for(std::chrono::milliseconds(5));  // the queue is full
    }
  }
  if (!(*ledger)->Close()) return 1;
  const double seconds =
      std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
  std::printf("%llu messages, %llu values masked, %llu withheld, %.1f s\n",
              static_cast<unsigned long long>(n), static_cast<unsigned long long>(masked),
              static_cast<unsigned long long>(withheld), seconds);
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "gate_at_rest N DIR CORPUS [LEAK]\n");
    return 2;
  }
  return Run(std::strtoull(argv[1], nullptr, 10), argv[2], argv[3],
             argc > 4 ? std::strtoull(argv[4], nullptr, 10) : 0);
}
