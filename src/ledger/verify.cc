#include "ledger/verify.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>

#include "base/bytes.h"
#include "ledger/object_writer.h"
#include "ledger/tile.h"
#include "ledger/wal_reader.h"

namespace sallyport::ledger {
namespace {

constexpr size_t kMaxProblems = 20;
using TileKey = std::pair<unsigned, uint64_t>;  // (level, number); entries count as kEntries
constexpr unsigned kEntries = ~0u;

/// Besides tiles: the checkpoint, the key, and what a process left that died while it replaced a
/// file.
bool IsOwnName(std::string_view file) {
  return file == "checkpoint" || file == "checkpoint.cosigned" || file == "vkey" ||
         file == "checkpoint.tmp" || file == "checkpoint.cosigned.tmp" || file == "vkey.tmp" ||
         file == "tile.tmp";
}

std::string Index(uint64_t i) { return std::to_string(i); }

/// A head that the log had before.
struct Remembered {
  Checkpoint head;
  const char* name;
  const char* file;
};

/// One pass over a log. Everything is recomputed from the bundles and compared with what is stored.
class Verification {
 public:
  using EntryVisitor =
      std::function<void(uint64_t index, std::string_view entry, const std::string& file)>;

  Verification(const LogFiles& files, const VerifyOptions& options, EntryVisitor visit)
      : files_(files), options_(options), visit_(std::move(visit)) {}

  VerifyReport Run() {
    if (CheckKey() && CheckCheckpoint()) CheckRemembered();
    if (verifier_ && !report_.origin.empty() && ListFiles()) {
      CheckContents();
      for (const auto& [key, widths] : seen_) {
        for (unsigned width : widths) {
          const TileName name = Name(key, width);
          if (IsBeyond(name))
            continue;  // written, but its checkpoint was not: the process died in between
          Report(TilePath(name), std::nullopt, "is not a file of a log of this size");
        }
      }
    }
    return std::move(report_);
  }

 private:
  void Report(const std::string& file, std::optional<uint64_t> index, std::string what) {
    if (report_.problems.size() < kMaxProblems)
      report_.problems.push_back({"log/" + file, index, std::move(what)});
  }
  static TileKey Key(const TileName& name) {
    return {name.entries ? kEntries : name.level, name.number};
  }
  static TileName Name(const TileKey& key, unsigned width) {
    const bool entries = key.first == kEntries;
    return {entries, entries ? 0 : key.first, key.second, width};
  }
  bool IsBeyond(const TileName& name) const {
    const uint64_t end = name.number * kTileWidth + name.width;
    return name.level < kTileLevels && end > HashesAt(name.level, checkpoint_.size);
  }

  bool CheckKey() {
    report_.key_given = !options_.vkey.empty();
    const Result<std::string> recorded = files_.Read("vkey");
    if (!recorded && !(report_.key_given && recorded.error().code == Errc::not_found)) {
      return Report("vkey", std::nullopt, recorded.error().detail), false;
    }
    report_.vkey = report_.key_given ? options_.vkey : *recorded;
    if (!report_.key_given && report_.vkey.ends_with('\n')) report_.vkey.pop_back();
    Result<NoteVerifier> verifier = NoteVerifier::Make(report_.vkey);
    if (!verifier) return Report("vkey", std::nullopt, verifier.error().detail), false;
    if (recorded && *recorded != report_.vkey + '\n') {
      Report("vkey", std::nullopt, "is not the key that the log is verified with");
    }
    verifier_.emplace(*std::move(verifier));
    return true;
  }

  bool CheckCheckpoint() {
    const Result<std::string> note = files_.Read("checkpoint");
    if (!note) return Report("checkpoint", std::nullopt, note.error().detail), false;
    Result<Checkpoint> checkpoint = verifier_->OpenCheckpoint(*note);
    if (!checkpoint) return Report("checkpoint", std::nullopt, checkpoint.error().detail), false;
    checkpoint_ = *std::move(checkpoint);
    report_.origin = checkpoint_.origin;
    report_.size = checkpoint_.size;
    report_.root = Base64Encode(checkpoint_.root);
    return true;
  }

  void CheckRemembered() {
    if (!options_.older_checkpoint.empty()) {
      report_.older_size =
          Remember("checkpoint", "the remembered checkpoint", options_.older_checkpoint);
    }
    const Result<std::string> cosigned = files_.Read("checkpoint.cosigned");
    if (cosigned) {
      report_.cosigned_size =
          Remember("checkpoint.cosigned", "the cosigned checkpoint", *cosigned);
      report_.cosigned = *cosigned;
    } else if (cosigned.error().code != Errc::not_found) {
      Report("checkpoint.cosigned", std::nullopt, cosigned.error().detail);
    }
  }

  /// Has the log compared with a head that it had before. Its size, if this log's key has signed it.
  std::optional<uint64_t> Remember(const char* file, const char* name, const std::string& note) {
    Result<Checkpoint> older = verifier_->OpenCheckpoint(note);
    if (!older) {
      Report(file, std::nullopt,
             std::string(name) + " is not one of this log: " + older.error().detail);
      return std::nullopt;
    }
    if (older->size > checkpoint_.size) {
      Report(file, std::nullopt,
             "rollback: the log has " + Index(checkpoint_.size) + " entries, " + name + " has " +
                 Index(older->size));
    }
    const uint64_t size = older->size;
    older_.push_back({*std::move(older), name, file});
    return size;
  }

  /// Sorts out the files that are not the current ones: partial tiles of older checkpoints, and
  /// strangers.
  bool ListFiles() {
    const Result<std::vector<std::string>> names = files_.List();
    if (!names) return Report("", std::nullopt, names.error().detail), false;
    for (const std::string& file : *names) {
      if (IsOwnName(file)) continue;
      const auto name = ParseTilePath(file);
      if (!name) {
        Report(file, std::nullopt, "is not a file of a tlog-tiles log");
      } else {
        seen_[Key(*name)].insert(name->width);
      }
    }
    return true;
  }

  void CheckContents() {
    levels_.resize(kTileLevels);
    const uint64_t bundles = (checkpoint_.size + kTileWidth - 1) / kTileWidth;
    CompareOlder();
    for (uint64_t n = 0; n < bundles; ++n) {
      if (!CheckBundle(n)) return;
    }
    for (unsigned level = 0; level < kTileLevels; ++level) {
      if (!levels_[level].empty())
        CompareTile(level, HashesAt(level, checkpoint_.size) / kTileWidth);
    }
    if (tree_.Root() != checkpoint_.root) {
      Report("checkpoint", std::nullopt,
             "the entries give the root " + Base64Encode(tree_.Root()) +
                 ", the signed checkpoint says " + report_.root);
    }
  }

  bool CheckBundle(uint64_t number) {
    const unsigned width =
        unsigned(std::min<uint64_t>(kTileWidth, checkpoint_.size - number * kTileWidth));
    const std::string file = TilePath({true, 0, number, width});
    const uint64_t first = number * kTileWidth;
    Result<std::string> bundle = ReadTile(files_, {true, 0, number, width});
    if (!bundle) return Report(file, first, "cannot be read: " + bundle.error().detail), false;
    auto entries = SplitBundle(*bundle, width);
    if (!entries && width < kTileWidth) {  // the full one in its place
      entries = SplitBundle(*bundle, kTileWidth);
      if (entries) entries->resize(width);
    }
    if (!entries)
      return Report(file, first, "is not " + std::to_string(width) + " entries with their lengths"),
             false;
    ++report_.files;
    for (unsigned i = 0; i < width; ++i) {
      const std::string_view entry = (*entries)[i];
      if (visit_) visit_(first + i, entry, file);
      hashes_.clear();
      tree_.Append(LeafHash(entry), &hashes_);
      ++report_.entries;
      for (const TileHash& hash : hashes_) AddHash(hash);
      CompareOlder();
    }
    const char* end =
        width == 0 ? bundle->data() : (*entries)[width - 1].data() + (*entries)[width - 1].size();
    ComparePartials({kEntries, number},
                    std::string_view(bundle->data(), size_t(end - bundle->data())), width);
    return true;
  }

  void AddHash(const TileHash& hash) {
    std::string& tile = levels_[hash.level];
    tile.append(reinterpret_cast<const char*>(hash.hash.data()), hash.hash.size());
    if (tile.size() == kTileWidth * sizeof(Hash)) {
      CompareTile(hash.level, hash.index / kTileWidth);
      tile.clear();
    }
  }

  void CompareOlder() {
    for (const Remembered& older : older_) {
      if (older.head.size == tree_.size() && older.head.root != tree_.Root()) {
        Report(older.file, std::nullopt,
               "fork: the first " + Index(older.head.size) + " entries are not those of " +
                   older.name);
      }
    }
  }

  void CompareTile(unsigned level, uint64_t number) {
    const std::string& expected = levels_[level];
    const unsigned width = unsigned(expected.size() / sizeof(Hash));
    const TileName name{false, level, number, width};
    const Result<std::string> stored = ReadTile(files_, name);
    ++report_.files;
    if (!stored) {
      Report(TilePath(name), std::nullopt, "cannot be read: " + stored.error().detail);
    } else {
      CompareHashes(name, *stored, expected);
    }
    ComparePartials({level, number}, expected, width);
  }

  void CompareHashes(const TileName& name, std::string_view stored, std::string_view expected) {
    if (stored == expected) return;
    size_t i = 0;
    while (i < std::min(stored.size(), expected.size()) && stored[i] == expected[i]) ++i;
    if (i >= expected.size())
      return Report(TilePath(name), std::nullopt, "is longer than its hashes");
    const uint64_t hash = name.number * kTileWidth + i / sizeof(Hash);
    Report(TilePath(name), hash << (8 * name.level),
           "does not hold the hash of " +
               (name.level == 0 ? "entry " + Index(hash)
                                : "the entries from " + Index(hash << (8 * name.level))));
  }

  /// Partial files that older checkpoints used, and the current one: each a prefix of what is known
  /// now.
  void ComparePartials(const TileKey& key, std::string_view expected, unsigned width) {
    const auto found = seen_.find(key);
    if (found == seen_.end()) return;
    const std::set<unsigned> widths = std::move(found->second);
    seen_.erase(found);
    for (const unsigned w : widths) {
      const TileName name = Name(key, w);
      if (w == width) continue;  // compared already
      if (w > width) {           // its checkpoint did not get out before the process died
        if (!IsBeyond(name))
          Report(TilePath(name), std::nullopt, "is not a file of a log of this size");
        continue;
      }
      ++report_.files;
      const Result<std::string> stored = files_.Read(TilePath(name));
      if (!stored) {
        if (stored.error().code != Errc::not_found)
          Report(TilePath(name), std::nullopt, stored.error().detail);
        continue;  // superseded while this was running
      }
      const std::string_view prefix =
          key.first == kEntries ? BundlePrefix(expected, w) : expected.substr(0, w * sizeof(Hash));
      if (*stored != prefix) {
        Report(TilePath(name), key.second * kTileWidth,
               "differs from the log that it is a beginning of");
      }
    }
  }

  static std::string_view BundlePrefix(std::string_view bundle, unsigned entries) {
    size_t end = 0;
    for (unsigned i = 0; i < entries; ++i) {
      end += 2 + LoadBe16(reinterpret_cast<const uint8_t*>(bundle.data()) + end);
    }
    return bundle.substr(0, end);
  }

  const LogFiles& files_;
  const VerifyOptions& options_;
  EntryVisitor visit_;
  VerifyReport report_;
  std::optional<NoteVerifier> verifier_;
  Checkpoint checkpoint_;
  std::vector<Remembered> older_;
  std::map<TileKey, std::set<unsigned>> seen_;
  Frontier tree_;
  std::vector<std::string> levels_;
  std::vector<TileHash> hashes_;
};

}  // namespace

VerifyReport VerifyLog(const LogFiles& files, const VerifyOptions& options) {
  return Verification(files, options, {}).Run();
}

VerifyReport VerifyDataDir(const std::filesystem::path& data_dir,
                           const std::optional<std::string>& vkey,
                           const std::optional<std::string>& older_checkpoint,
                           const EntryVisitor& visit) {
  const VerifyOptions options{.vkey = vkey.value_or(""),
                              .older_checkpoint = older_checkpoint.value_or("")};
  std::error_code error;
  if (!std::filesystem::is_directory(data_dir / "log", error)) {
    VerifyReport none;
    none.found = false;
    none.problems.push_back({"log", std::nullopt, "there is no log in " + data_dir.string()});
    return none;
  }
  // First the write-ahead log, then the checkpoint: a running gateway only moves entries this way.
  const Result<WalContents> wal = ReadWal(data_dir / "wal", true);
  std::optional<uint64_t> different;
  const LogDirectory files(data_dir / "log");
  Verification verification(
      files, options, [&](uint64_t index, std::string_view entry, const std::string&) {
        if (visit) visit(index, entry);
        if (!wal || different || index < wal->first || index >= wal->first + wal->leaves.size())
          return;
        if (wal->leaves[index - wal->first] != entry) different = index;
      });
  VerifyReport report = verification.Run();
  if (!wal) {
    report.problems.push_back({"wal", std::nullopt, wal.error().detail});
    return report;
  }
  if (different) report.problems.push_back({"wal", different, "holds another entry than the log"});
  if (wal->leaves.empty()) return report;
  const uint64_t end = wal->first + wal->leaves.size();
  if (wal->first > report.size) {
    report.problems.push_back({"wal", report.size, "begins only at entry " + Index(wal->first)});
  }
  if (end > report.size) report.uncovered = end - report.size;
  for (const auto& note : wal->notes) {
    if (note.first > end) {
      report.problems.push_back(
          {"wal", end, "a signed checkpoint covers " + Index(note.first) + " entries"});
      break;
    }
  }
  return report;
}

std::string VerifyReport::Summary() const {
  if (!found) return "NOT verified: " + problems.front().what;
  std::string out = ok() ? "verified: " : "NOT verified: ";
  out += origin.empty() ? "the log" : origin;
  out += ", " + Index(size) + " entries, root " + root;
  if (!key_given) out += ", by its own record of its key";
  return out;
}

std::string VerifyReport::Text() const {
  std::string out;
  for (const Problem& p : problems) {
    out +=
        "PROBLEM " + p.file + (p.index ? ", entry " + Index(*p.index) : "") + ": " + p.what + '\n';
  }
  out += Summary() + '\n';
  if (!found) return out;
  if (!key_given) {
    out +=
        "Without --key this proves that the log is consistent, not who wrote it: give the verifier "
        "key that you "
        "know from elsewhere.\n";
  }
  if (older_size && ok())
    out += "It continues the remembered checkpoint of " + Index(*older_size) + " entries.\n";
  if (cosigned_size && ok()) {
    out += "It continues the cosigned checkpoint of " + Index(*cosigned_size) + " entries";
    if (!quorum) out += ", whose cosignatures only --policy verifies";
    for (const auto& [witness, at] : cosigned_by) out += ", " + witness + " at " + at;
    out += ".\n";
  }
  if (recordings > 0 && ok()) {
    out += Index(recordings) + " recordings of " + Index(recording_bytes) +
           " bytes are there and unchanged.\n";
  }
  if (uncovered > 0)
    out += Index(uncovered) + " more entries wait in the write-ahead log for a checkpoint.\n";
  return out;
}

std::string VerifyReport::Json() const {
  std::string out;
  ObjectWriter object(out);
  object.Flag("ok", ok());
  object.Text("origin", origin);
  object.Number("size", size);
  object.Text("root", root);
  object.Text("key", vkey);
  object.Text("proves", key_given ? "origin and consistency" : "consistency only");
  object.Number("entries", entries);
  object.Number("files", files);
  object.Number("uncovered", uncovered);
  if (recordings > 0) {
    object.Number("recordings", recordings);
    object.Number("recording_bytes", recording_bytes);
  }
  if (older_size) object.Number("older_size", *older_size);
  if (cosigned_size) object.Number("cosigned_size", *cosigned_size);
  if (quorum) {
    object.Flag("quorum", *quorum);
    std::string& by = object.Key("cosigned_by");
    by += '{';
    for (size_t i = 0; i < cosigned_by.size(); ++i) {
      if (i > 0) by += ',';
      json::AppendString(by, cosigned_by[i].first);
      by += ':';
      json::AppendString(by, cosigned_by[i].second);
    }
    by += '}';
  }
  std::string& list = object.Key("problems");
  list += '[';
  for (size_t i = 0; i < problems.size(); ++i) {
    if (i > 0) list += ',';
    ObjectWriter p(list);
    p.Text("file", problems[i].file);
    if (problems[i].index) p.Number("index", *problems[i].index);
    p.Text("what", problems[i].what);
    p.Close();
  }
  list += ']';
  object.Close();
  return out;
}

}  // namespace sallyport::ledger
