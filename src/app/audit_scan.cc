#include "app/audit_scan.h"

#include <algorithm>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <vector>

#include "app/exit_code.h"
#include "app/gateway.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "base/bytes.h"
#include "base/ids.h"
#include "ledger/render.h"
#include "ledger/tile.h"
#include "mask/corpus_format.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr size_t kChunk = 4 << 20, kOverlap = 4096, kLeastText = 8, kPlaces = 100;
/// Figures of our own in an entry: times, indexes, hashes. docs/formats/entry.md
const std::vector<std::string> kFigures{
    "/v",      "/t",     "/s",        "/n",   "/p",  "/i", "/us", "/count",    "/who/exp",
    "/ap/exp", "/ap/dg", "/um/until", "/sid", "/lg", "/d", "/tr", "/req/blob", "/res/blob"};

struct Place {
  std::string file, kind;
  uint64_t at = 0;  // entry of a bundle, else byte
};

struct Totals {
  uint64_t files = 0, bytes = 0, entries = 0, sealed_bytes = 0;
  uint64_t pan = 0, sad = 0;
  std::map<std::string, uint64_t> classes;  // bytes by what the files are
  std::vector<Place> places;
  std::vector<std::string> unreadable;
  uint64_t findings() const { return pan + sad; }
};

/// What a file below the data directory is, by its place.
std::string ClassOf(const std::string& name) {
  if (name.starts_with("log/tile/entries/")) return "entries of the log";
  if (name.starts_with("log/")) return "log";
  if (name.starts_with("wal")) return "write-ahead log";
  if (name.starts_with("recordings/")) return "recordings (sealed)";
  if (name.starts_with("index.sqlite")) return "search index";
  if (name.starts_with("state/")) return "state";
  if (name.starts_with("reads/")) return "notes for the log";
  if (name.starts_with("reviews/")) return "reviews";
  if (name.starts_with("export")) return "exports";
  return "other";
}

class Scan {
 public:
  explicit Scan(std::shared_ptr<const mask::Masker> masker) : masker_(std::move(masker)) {}

  void Directory(const fs::path& root) {
    std::vector<fs::path> files;
    std::error_code error;
    for (fs::recursive_directory_iterator at(root, error), end; !error && at != end;
         at.increment(error)) {
      if (at->is_regular_file(error) && !at->is_symlink(error)) files.push_back(at->path());
    }
    if (error) totals_.unreadable.push_back(root.string() + ": " + error.message());
    std::ranges::sort(files);
    for (const fs::path& file : files) File(file, file.lexically_relative(root).string());
  }
  Totals totals() && { return std::move(totals_); }

 private:
  void File(const fs::path& path, const std::string& name) {
    name_ = name;
    ++totals_.files;
    const std::string kind = ClassOf(name);
    std::ifstream in(path, std::ios::binary);
    if (!in) {
      std::error_code error;
      // What the gateway has taken meanwhile.
      if (fs::exists(path, error)) totals_.unreadable.push_back(name);
      return;
    }
    uint64_t size = 0;
    if (kind == "entries of the log") {
      const std::string bytes{std::istreambuf_iterator<char>(in), {}};
      size = bytes.size();
      Bundle(bytes);
    } else {
      size = Text(in);
    }
    if (in.bad()) totals_.unreadable.push_back(name);
    totals_.bytes += size;
    totals_.classes[kind] += size;
    if (kind.starts_with("recordings")) totals_.sealed_bytes += size;
  }

  /// Entry by entry; what is no bundle is text.
  void Bundle(std::string_view bytes) {
    uint64_t index = 0;
    while (bytes.size() >= 2) {
      const size_t length = LoadBe16(AsBytes(bytes).data());
      if (length + 2 > bytes.size()) break;
      Entry(bytes.substr(2, length), index++);
      bytes.remove_prefix(2 + length);
    }
    totals_.entries += index;
    if (!bytes.empty()) Run(bytes, index);
  }

  void Entry(std::string_view entry, uint64_t index) {
    if (!masker_->MayContain(entry)) return;
    std::string out;
    mask::Tally tally;
    const auto masked = masker_->MaskJson(entry, {.keep = kFigures, .max_depth = 512}, out, tally);
    if (!masked) {
      Run(entry, index);
    } else {
      Found(tally, index);
    }
  }

  /// Every run of bytes that could be text, as `strings` finds them.
  uint64_t Text(std::istream& in) {
    std::string data, piece(kChunk, '\0');
    uint64_t base = 0, size = 0;
    while (in.read(piece.data(), std::streamsize(piece.size())), in.gcount() > 0) {
      size += uint64_t(in.gcount());
      data.append(piece, 0, size_t(in.gcount()));
      const bool last = !in;
      // A run that reaches the end goes on in the next piece, unless it is endless.
      size_t end = data.size();
      if (!last) {
        while (end > 0 && Printable(data[end - 1]) && data.size() - end < kOverlap) --end;
      }
      Runs(std::string_view(data).substr(0, end), base);
      base += end;
      data.erase(0, end);
    }
    Runs(data, base);
    return size;
  }

  static bool Printable(char c) {
    const auto u = static_cast<unsigned char>(c);
    return (u >= 0x20 && u != 0x7f) || u == '\t';
  }

  void Runs(std::string_view bytes, uint64_t base) {
    for (size_t at = 0; at < bytes.size();) {
      size_t end = at;
      while (end < bytes.size() && Printable(bytes[end])) ++end;
      if (end - at >= kLeastText) Run(bytes.substr(at, end - at), base + at);
      at = end + 1;
    }
  }

  /// Text of any kind: a whole entry, as the write-ahead log has them, or whatever it is.
  void Run(std::string_view text, uint64_t at) {
    if (!masker_->MayContain(text)) return;
    std::string out;
    mask::Tally tally;
    // Digits of a hash or an identifier are told apart as in an entry, where it is one.
    if (const size_t begin = text.find("{\"v\":1,\"e\":\""); begin != text.npos) {
      const size_t end = text.rfind('}');
      if (end != text.npos && end > begin) {
        const auto masked = masker_->MaskJson(text.substr(begin, end + 1 - begin),
                                              {.keep = kFigures, .max_depth = 512}, out, tally);
        if (masked) return Found(tally, at);
      }
    }
    tally = {};
    masker_->MaskText(text, {}, out, tally);
    Found(tally, at);
  }

  void Found(const mask::Tally& tally, uint64_t at) {
    totals_.pan += tally.pan;
    totals_.sad += tally.sad;
    if (tally.pan + tally.sad == 0 || totals_.places.size() >= kPlaces) return;
    totals_.places.push_back({name_, tally.pan > 0 ? "pan" : "sad", at});
  }

  const std::shared_ptr<const mask::Masker> masker_;
  std::string name_;
  Totals totals_;
};

ordered_json ToJson(const Totals& totals, size_t most) {
  ordered_json places = ordered_json::array();
  for (const Place& place : totals.places) {
    if (places.size() >= most) break;
    places.push_back({{"file", place.file}, {"at", place.at}, {"kind", place.kind}});
  }
  return {{"files", totals.files},
          {"bytes", totals.bytes},
          {"entries", totals.entries},
          {"sealed_bytes", totals.sealed_bytes},
          {"pan", totals.pan},
          {"sad", totals.sad},
          {"bytes_by_class", totals.classes},
          {"places", std::move(places)},
          {"unreadable", totals.unreadable},
          {"detectors", std::string(mask::Masker::TableVersion())}};
}

void Print(const Totals& totals) {
  for (const Place& place : totals.places) {
    std::printf("FOUND %s in %s at %llu\n", place.kind.c_str(),
                ledger::Printable(place.file).c_str(), static_cast<unsigned long long>(place.at));
  }
  for (const std::string& name : totals.unreadable)
    std::printf("NOT READ %s\n", ledger::Printable(name).c_str());
  std::printf(
      "%llu card numbers and %llu sensitive authentication data in %llu bytes of %llu files, "
      "%llu entries; %llu bytes are sealed\n",
      static_cast<unsigned long long>(totals.pan), static_cast<unsigned long long>(totals.sad),
      static_cast<unsigned long long>(totals.bytes), static_cast<unsigned long long>(totals.files),
      static_cast<unsigned long long>(totals.entries),
      static_cast<unsigned long long>(totals.sealed_bytes));
}

}  // namespace

int RunAuditScan(const AuditScanOptions& options) {
  std::vector<mask::DetectorSpec> detectors = mask::DefaultDetectors();
  if (!options.config.empty()) {
    int exit_code = kOk;
    const auto root = LoadOrExplain(options.config, exit_code);
    if (!root) return exit_code;
    detectors = root->masking.detectors;
    // Patterns of the house's own are masked as it likes: here it is about card data.
    std::erase_if(detectors,
                  [](const mask::DetectorSpec& d) { return d.kind == mask::DetectorKind::regex; });
  }
  const auto masker = mask::Masker::Make(detectors, Secret(NewHandle(32)));
  if (!masker) {
    std::fprintf(stderr, "sallyport audit scan: %s\n", masker.error().detail.c_str());
    return kBadConfig;
  }
  const std::string dir = DataDirOrDefault(options.data_dir);
  if (!fs::is_directory(dir)) {
    std::fprintf(stderr, "sallyport audit scan: %s is no directory\n", dir.c_str());
    return kFailed;
  }
  Scan scan(*masker);
  scan.Directory(dir);
  const Totals totals = std::move(scan).totals();
  const bool whole = totals.unreadable.empty();
  const auto noted = NoteFinding(dir, op::EventType::scan_made, "at rest",
                                 totals.findings() == 0 && whole, ToJson(totals, 8).dump());
  if (options.json) {
    std::printf("%s\n", ToJson(totals, kPlaces).dump().c_str());
  } else {
    Print(totals);
  }
  if (!noted) {
    std::fprintf(stderr, "sallyport audit scan: %s\n", noted.error().detail.c_str());
    return kFailed;
  }
  return totals.findings() > 0 ? kNegative : whole ? kOk : kFailed;
}

}  // namespace sallyport::app
