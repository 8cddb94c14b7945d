#include "app/audit_drill.h"

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <functional>
#include <nlohmann/json.hpp>

#include "app/exit_code.h"
#include "app/read_spool.h"
#include "app/verbs.h"
#include "base/clock.h"
#include "base/ids.h"
#include "ledger/checkpoint.h"
#include "ledger/entry.h"
#include "ledger/reader.h"
#include "ledger/tile.h"
#include "ledger/verify.h"

namespace sallyport::app {
namespace {

namespace fs = std::filesystem;
using nlohmann::ordered_json;

constexpr Nanos kDay = Nanos{86'400} * 1'000'000'000;

double SecondsSince(std::chrono::steady_clock::time_point begun) {
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begun).count();
}

std::string Bytes(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A new file in place of the one there, which may be a link to the log's own.
void Put(const fs::path& path, const std::string& bytes) {
  fs::remove(path);
  std::ofstream(path, std::ios::binary) << bytes;
}

/// A copy of `<data_dir>/log` as it is at one moment, beside a gateway that writes. Full tiles
/// never change and are linked; partial ones are files that serve again later and are copied.
class Copy {
 public:
  Copy(const fs::path& log, fs::path to) : to_(std::move(to)) {
    fs::create_directories(to_ / "log");
    // The checkpoint first: what it needs is there, and stays.
    for (const char* name : {"checkpoint", "vkey"}) {
      if (fs::exists(log / name)) fs::copy_file(log / name, to_ / "log" / name);
    }
    const auto head = ledger::PeekCheckpoint(Bytes(to_ / "log" / "checkpoint"));
    size_ = head ? head->size : 0;
    for (const ledger::TileName& tile : ledger::TilesOf(size_)) {
      const std::string name = ledger::TilePath(tile);
      const fs::path target = to_ / "log" / name;
      fs::create_directories(target.parent_path());
      std::error_code error;
      if (tile.width == ledger::kTileWidth) fs::create_hard_link(log / name, target, error);
      if (tile.width != ledger::kTileWidth || error) fs::copy_file(log / name, target, error);
      // A partial tile has become full meanwhile: what is needed of it stands at its beginning.
      if (error) Shorten(log, tile, target);
    }
  }
  ~Copy() {
    std::error_code ignored;
    fs::remove_all(to_, ignored);
  }
  Copy(const Copy&) = delete;

  const fs::path& path() const { return to_; }
  uint64_t size() const { return size_; }
  /// The bundle with entry `index`.
  fs::path Bundle(uint64_t index) const {
    const uint64_t number = index / ledger::kTileWidth;
    const uint64_t left = size_ - number * ledger::kTileWidth;
    return to_ / "log" /
           ledger::TilePath({.entries = true,
                             .number = number,
                             .width = unsigned(std::min<uint64_t>(left, ledger::kTileWidth))});
  }

 private:
  static void Shorten(const fs::path& log, const ledger::TileName& tile, const fs::path& target) {
    const auto read = ledger::ReadTile(ledger::LogDirectory(log), tile);
    if (read) std::ofstream(target, std::ios::binary) << *read;
  }

  const fs::path to_;
  uint64_t size_ = 0;
};

using Entries = std::vector<std::string>;

/// One way to change the copy, by one who has all files and not the key.
struct Class {
  const char* name;
  std::function<void(const Copy&)> change;
};

/// Changes the entries of the bundle in the middle of the log.
std::function<void(const Copy&)> OnEntries(std::function<void(Entries&)> change) {
  return [change = std::move(change)](const Copy& copy) {
    const fs::path path = copy.Bundle(copy.size() / 2);
    const std::string bytes = Bytes(path);
    const uint64_t number = copy.size() / 2 / ledger::kTileWidth;
    const auto split = ledger::SplitBundle(
        bytes, unsigned(std::min<uint64_t>(copy.size() - number * ledger::kTileWidth,
                                           ledger::kTileWidth)));
    if (!split) return;
    Entries entries(split->begin(), split->end());
    change(entries);
    std::string made;
    for (const std::string& entry : entries) ledger::AppendToBundle(made, entry);
    Put(path, made);
  };
}

std::function<void(const Copy&)> OnFile(std::function<fs::path(const Copy&)> which,
                                        std::function<void(std::string&)> change) {
  return [which = std::move(which), change = std::move(change)](const Copy& copy) {
    std::string bytes = Bytes(which(copy));
    if (!bytes.empty()) change(bytes);
    Put(which(copy), bytes);
  };
}

std::vector<Class> Classes() {
  const auto bundle = [](const Copy& copy) { return copy.Bundle(copy.size() / 2); };
  const auto checkpoint = [](const Copy& copy) { return copy.path() / "log" / "checkpoint"; };
  const auto tile = [](const Copy& copy) {
    const uint64_t left = copy.size() / ledger::kTileWidth;
    return copy.path() / "log" /
           ledger::TilePath({.width = left > 0 ? ledger::kTileWidth : unsigned(copy.size())});
  };
  const auto flip = [](std::string& bytes) { bytes[bytes.size() / 2] ^= 1; };
  return {
      {"one bit of an entry", OnFile(bundle, flip)},
      {"one bit of a hash", OnFile(tile, flip)},
      {"one bit of the checkpoint", OnFile(checkpoint, flip)},
      {"an entry edited", OnEntries([](Entries& e) { e[e.size() / 2] += ' '; })},
      {"an entry taken out",
       OnEntries([](Entries& e) { e.erase(e.begin() + long(e.size() / 2)); })},
      {"an entry put in", OnEntries([](Entries& e) { e.insert(e.begin(), e.back()); })},
      {"two entries swapped", OnEntries([](Entries& e) { std::swap(e.front(), e.back()); })},
      {"512 bytes of zeros", OnFile(bundle,
                                    [](std::string& bytes) {
                                      std::fill_n(bytes.begin(),
                                                  std::min<size_t>(512, bytes.size()), '\0');
                                    })},
      {"a file taken away", [bundle](const Copy& copy) { fs::remove(bundle(copy)); }},
      {"the newest entries cut off",
       [](const Copy& copy) { fs::remove(copy.Bundle(copy.size() - 1)); }},
  };
}

struct Tried {
  const char* name;
  bool detected = false;
  double seconds = 0;
};

/// How long it takes to read a period of a log.
struct Reading {
  uint64_t entries = 0, bytes = 0;
  double seconds = 0;
};

Result<Reading> ReadPeriod(const fs::path& data_dir, Nanos from, Nanos to) {
  const auto begun = std::chrono::steady_clock::now();
  SALLYPORT_TRY(ledger::LogReader reader, ledger::LogReader::Open(data_dir));
  const auto time_of = [&](uint64_t index) -> Result<Nanos> {
    SALLYPORT_TRY(const std::string bytes, reader.Read(index));
    const auto entry = ledger::DecodeEntry(bytes);
    return entry ? entry->at : 0;
  };
  uint64_t low = 0, high = reader.size();
  while (low < high) {
    const uint64_t middle = low + (high - low) / 2;
    SALLYPORT_TRY(const Nanos at, time_of(middle));
    if (at < from)
      low = middle + 1;
    else
      high = middle;
  }
  Reading reading;
  SALLYPORT_CHECK(
      reader.ForEach(low, reader.size(), [&](uint64_t, std::string_view bytes) -> Result<bool> {
        const auto entry = ledger::DecodeEntry(bytes);
        if (entry && entry->at >= to) return false;
        ++reading.entries;
        reading.bytes += bytes.size();
        return true;
      }));
  reading.seconds = SecondsSince(begun);
  return reading;
}

struct Drill {
  std::vector<Tried> tried;
  bool honest = false;  // the copy verifies before anybody touches it
  uint64_t entries = 0;
  Reading newest, oldest;
  uint64_t detected() const { return uint64_t(std::ranges::count(tried, true, &Tried::detected)); }
  bool ok() const { return honest && detected() == tried.size(); }
};

Result<Drill> Run(const fs::path& data_dir, const fs::path& scratch, const std::string& key) {
  Drill drill;
  const ledger::VerifyOptions verify{.vkey = key, .older_checkpoint = {}};
  const auto verified = [&](const fs::path& path) {
    const auto report = ledger::VerifyLog(ledger::LogDirectory(path / "log"), verify);
    return report.found && report.ok();
  };
  {
    const Copy copy(data_dir / "log", scratch / "restore");
    drill.entries = copy.size();
    if (copy.size() < 4) return Fail(Errc::not_found, "the log has too few entries for a drill");
    drill.honest = verified(copy.path());
    SALLYPORT_TRY(ledger::LogReader reader, ledger::LogReader::Open(copy.path()));
    SALLYPORT_TRY(const std::string first, reader.Read(0));
    SALLYPORT_TRY(const ledger::Entry entry, ledger::DecodeEntry(first));
    const Nanos begin = entry.at, now = SystemClock().WallNow();
    SALLYPORT_TRY(drill.newest, ReadPeriod(copy.path(), now - 90 * kDay, now + kDay));
    SALLYPORT_TRY(drill.oldest, ReadPeriod(copy.path(), begin, begin + 30 * kDay));
  }
  for (const Class& one : Classes()) {
    const Copy copy(data_dir / "log", scratch / "tampered");
    one.change(copy);
    const auto begun = std::chrono::steady_clock::now();
    const bool fine = verified(copy.path());
    drill.tried.push_back({one.name, !fine, SecondsSince(begun)});
  }
  return drill;
}

double Rounded(double seconds) { return double(int64_t(seconds * 1000 + 0.5)) / 1000; }

ordered_json ToJson(const Drill& drill) {
  ordered_json classes = ordered_json::array();
  for (const Tried& one : drill.tried)
    classes.push_back(
        {{"change", one.name}, {"detected", one.detected}, {"seconds", Rounded(one.seconds)}});
  const auto reading = [](const Reading& r) {
    return ordered_json{
        {"entries", r.entries}, {"bytes", r.bytes}, {"seconds", Rounded(r.seconds)}};
  };
  return {{"entries", drill.entries},
          {"untouched_copy_verifies", drill.honest},
          {"changes", std::move(classes)},
          {"detected", drill.detected()},
          {"newest_90_days", reading(drill.newest)},
          {"oldest_30_days", reading(drill.oldest)}};
}

void Print(const Drill& drill) {
  std::printf("the untouched copy of %llu entries %s\n",
              static_cast<unsigned long long>(drill.entries),
              drill.honest ? "verifies" : "does NOT verify");
  for (const Tried& one : drill.tried)
    std::printf("%-28s %s in %.3f s\n", one.name, one.detected ? "detected" : "MISSED",
                one.seconds);
  for (const auto& [name, r] :
       {std::pair("newest 90 days", drill.newest), std::pair("oldest 30 days", drill.oldest)})
    std::printf("%-28s %llu entries read in %.3f s\n", name,
                static_cast<unsigned long long>(r.entries), r.seconds);
}

}  // namespace

int RunAuditDrill(const AuditDrillOptions& options) {
  const fs::path dir = DataDirOrDefault(options.data_dir);
  const auto sorry = [](const std::string& why) {
    std::fprintf(stderr, "sallyport audit drill: %s\n", why.c_str());
    return kFailed;
  };
  if (!fs::exists(dir / "log" / "checkpoint")) return sorry("there is no log in " + dir.string());
  const fs::path scratch = fs::path(options.scratch.empty() ? dir : fs::path(options.scratch)) /
                           ("drill-" + NewHandle(9));
  Result<Drill> drill = Fail(Errc::io_failed, "");
  try {
    fs::create_directories(scratch);
    fs::permissions(scratch, fs::perms::owner_all);
    drill = Run(dir, scratch, options.key);
  } catch (const fs::filesystem_error& e) {
    drill = Fail(Errc::io_failed, e.what());
  }
  std::error_code ignored;
  fs::remove_all(scratch, ignored);
  if (!drill) return sorry(drill.error().detail);
  const auto noted = NoteFinding(dir, op::EventType::drill_made, "tampering and restore",
                                 drill->ok(), ToJson(*drill).dump());
  if (options.json)
    std::printf("%s\n", ToJson(*drill).dump().c_str());
  else
    Print(*drill);
  if (!noted) return sorry(noted.error().detail);
  return drill->ok() ? kOk : kNegative;
}

}  // namespace sallyport::app
