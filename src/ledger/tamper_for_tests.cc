#include "ledger/tamper_for_tests.h"

#include <algorithm>
#include <cstdlib>

#include "ledger/tile.h"
#include "ledger/tree.h"
#include "ledger/verify.h"

namespace sallyport::ledger {
namespace {

constexpr size_t kEntries = 300;
constexpr size_t kOlderSizes[] = {1, 17, 100, 255, 256, 257, 280};

NoteSigner TestSigner() {
  auto signer = NoteSigner::Make("gate.example.com/tamper", Secret(std::string(32, 't')));
  if (!signer) std::abort();
  return *std::move(signer);
}

/// The files of a log of some entries, and of all its beginnings.
class Tiles {
 public:
  explicit Tiles(const std::vector<std::string>& entries) {
    Frontier tree;
    std::vector<TileHash> hashes;
    for (const std::string& entry : entries) {
      tree.Append(LeafHash(entry), &hashes);
      AppendToBundle(bundles_, entry);
      ends_.push_back(bundles_.size());
      roots_.push_back(tree.Root());
    }
    for (const TileHash& h : hashes) {
      if (h.level >= levels_.size()) levels_.resize(h.level + 1u);
      levels_[h.level].append(reinterpret_cast<const char*>(h.hash.data()), h.hash.size());
    }
  }

  /// All tiles and bundles that a checkpoint of the first `size` entries needs.
  void AddTo(Image& image, size_t size) const {
    for (const TileName& name : TilesOf(size)) {
      const size_t first = name.number * kTileWidth;
      if (name.entries) {
        const size_t begin = ends_[first];
        image.files[TilePath(name)] = bundles_.substr(begin, ends_[first + name.width] - begin);
      } else {
        image.files[TilePath(name)] =
            levels_[name.level].substr(first * sizeof(Hash), name.width * sizeof(Hash));
      }
    }
  }
  const Hash& Root(size_t size) const { return roots_[size]; }

 private:
  std::vector<std::string> levels_;  // hashes, side by side
  std::string bundles_;
  std::vector<size_t> ends_{0};  // in bundles_, by number of entries
  std::vector<Hash> roots_{EmptyRoot()};
};

}  // namespace

Result<std::string> Image::Read(const std::string& name) const {
  const auto found = files.find(name);
  if (found == files.end()) return Fail(Errc::not_found, "there is no " + name);
  return found->second;
}

Result<std::vector<std::string>> Image::List() const {
  std::vector<std::string> names;
  for (const auto& [name, bytes] : files) names.push_back(name);
  return names;
}

Tamperer::Tamperer(uint64_t seed) : random_(seed), signer_(TestSigner()) {
  for (size_t i = 0; i < kEntries; ++i) {
    std::string entry = "{\"v\":1,\"i\":" + std::to_string(i) + ",\"x\":\"";
    for (size_t j = 20 + i % 150; j > 0; --j) entry += char('a' + random_() % 26);
    entries_.push_back(entry + "\"}");
  }
  for (const size_t size : kOlderSizes) {
    older_sizes_.push_back(size);
    older_.push_back(Sign({entries_.begin(), entries_.begin() + long(size)}));
  }
  honest_ = Build(entries_, Sign(entries_));
}

std::string Tamperer::Sign(const std::vector<std::string>& entries) const {
  Frontier tree;
  for (const std::string& entry : entries) tree.Append(LeafHash(entry));
  return signer_.Sign(CheckpointText({signer_.name(), tree.size(), tree.Root()})).value_or("");
}

Image Tamperer::Build(const std::vector<std::string>& entries, const std::string& note) const {
  Image image;
  const Tiles tiles(entries);
  for (const size_t size : older_sizes_) {
    if (size <= entries.size()) tiles.AddTo(image, size);
  }
  tiles.AddTo(image, entries.size());
  image.files["checkpoint"] = note;
  image.files["vkey"] = signer_.vkey() + '\n';
  return image;
}

Image Tamperer::Rebuild(const std::vector<std::string>& entries) const {
  return Build(entries, honest_.files.at("checkpoint"));
}

void Tamperer::FlipBit(std::string& bytes) {
  const size_t bit = Below(bytes.size() * 8);
  bytes[bit / 8] = char(bytes[bit / 8] ^ (1 << (bit % 8)));
}

const char* Tamperer::ClassName(int kind) {
  constexpr const char* kNames[] = {"bit flip in a bundle",
                                    "bit flip in the checkpoint",
                                    "edit one entry",
                                    "delete one entry",
                                    "swap two entries",
                                    "insert a forged entry",
                                    "duplicate an entry",
                                    "cut the tail, keep the checkpoint",
                                    "cut the tail, replay an older signed checkpoint",
                                    "zero a 512-byte sector",
                                    "move a byte across an entry border",
                                    "fork: another signed log of the same size",
                                    "any change of any file under log/"};
  return kNames[kind];
}

Image Tamperer::MutateEntries(int kind) {
  std::vector<std::string> v = entries_;
  const size_t a = Below(v.size()), b = (a + 1 + Below(v.size() - 1)) % v.size();
  switch (kind) {
    case kEdit:
      FlipBit(v[a]);
      break;
    case kDelete:
      v.erase(v.begin() + long(a));
      break;
    case kSwap:
      std::swap(v[a], v[b]);
      break;
    case kInsert:
      v.insert(v.begin() + long(a), "{\"forged\":true}");
      break;
    case kDuplicate:
      v.insert(v.begin() + long(a), v[a]);
      break;
    case kMoveByte: {
      const size_t left = std::min(a, v.size() - 2);
      v[left] += v[left + 1].front();
      v[left + 1].erase(0, 1);
      break;
    }
    default:
      break;
  }
  Image image = Rebuild(v);
  if (random_() % 2 == 0) {  // half of the attackers leave the hash tiles as they were
    for (const auto& [name, bytes] : honest_.files) {
      if (!name.starts_with("tile/entries/")) image.files[name] = bytes;
    }
  }
  return image;
}

Image Tamperer::MutateAnyFile() {
  Image image = honest_;
  auto it = image.files.begin();
  std::advance(it, Below(image.files.size()));
  std::string& bytes = it->second;
  switch (Below(5)) {
    case 0:
      FlipBit(bytes);
      break;
    case 1:
      bytes.resize(Below(bytes.size()));
      break;
    case 2:
      bytes += char(random_());
      break;
    case 3: {  // a run of one byte value, until something changed
      const std::string before = bytes;
      const size_t begin = Below(bytes.size());
      std::fill_n(bytes.begin() + long(begin), 1 + Below(bytes.size() - begin), char(random_()));
      if (bytes == before) FlipBit(bytes);
      break;
    }
    default: {  // the content of another file
      auto other = image.files.begin();
      std::advance(other, Below(image.files.size()));
      if (other->second == bytes) {
        FlipBit(bytes);
      } else {
        bytes = other->second;
      }
    }
  }
  return image;
}

Image Tamperer::Mutate(int kind) {
  Image image;
  switch (kind) {
    case kBundleBit: {
      image = honest_;
      const bool full = random_() % 2 == 0;
      FlipBit(image.files.at(full ? "tile/entries/000" : "tile/entries/001.p/44"));
      return image;
    }
    case kCheckpointBit:
      image = honest_;
      FlipBit(image.files.at("checkpoint"));
      return image;
    case kCut: {
      std::vector<std::string> v = entries_;
      v.resize(Below(v.size()));
      return Rebuild(v);
    }
    case kRollback: {
      const size_t i = Below(older_.size());
      return Build({entries_.begin(), entries_.begin() + long(older_sizes_[i])}, older_[i]);
    }
    case kZeroSector: {
      image = honest_;
      auto it = image.files.begin();
      do {
        it = image.files.begin();
        std::advance(it, Below(image.files.size()));
      } while (it->second.size() < 512);
      std::fill_n(it->second.begin() + long(Below(it->second.size() / 512) * 512), 512, '\0');
      return image;
    }
    case kFork: {
      std::vector<std::string> v = entries_;
      FlipBit(v[Below(v.size())]);
      return Build(v, Sign(v));
    }
    case kAnyFile:
      return MutateAnyFile();
    default:
      return MutateEntries(kind);
  }
}

std::vector<TamperCount> RunTamper(uint64_t n, uint64_t seed) {
  Tamperer tamperer(seed);
  std::vector<TamperCount> counts(Tamperer::kClasses);
  const VerifyOptions plain{.vkey = tamperer.vkey(), .older_checkpoint = {}};
  const VerifyOptions memory{.vkey = tamperer.vkey(), .older_checkpoint = tamperer.remembered()};
  for (uint64_t i = 0; i < n; ++i) {
    const int kind = int(i % Tamperer::kClasses);
    TamperCount& count = counts[size_t(kind)];
    const Image image = tamperer.Mutate(kind);
    ++count.tried;
    if (!VerifyLog(image, plain).ok()) continue;  // what is found without memory is found with it
    ++count.missed;
    if (VerifyLog(image, memory).ok()) ++count.missed_with_memory;
  }
  return counts;
}

uint64_t RunHonest(uint64_t n, uint64_t seed) {
  std::mt19937_64 random(seed);
  const NoteSigner signer = TestSigner();
  const std::string vkey = signer.vkey();
  constexpr size_t kMost = 700;
  std::vector<std::string> entries, notes;
  for (size_t i = 0; i < kMost; ++i) {
    std::string entry(random() % 200, '\0');
    for (char& c : entry) c = char(random());
    entries.push_back(std::move(entry));
  }
  const Tiles tiles(entries);
  for (size_t size = 0; size <= kMost; ++size)
    notes.push_back(
        signer.Sign(CheckpointText({signer.name(), size, tiles.Root(size)})).value_or(""));
  uint64_t refused = 0;
  for (uint64_t i = 0; i < n; ++i) {
    const size_t size = random() % (kMost + 1);
    Image image;
    // Partial files of older checkpoints stay; those of the next one may be there before it is.
    for (uint64_t left = random() % 4; left > 0; --left) tiles.AddTo(image, random() % (size + 1));
    if (random() % 4 == 0) tiles.AddTo(image, std::min(kMost, size + random() % 20));
    tiles.AddTo(image, size);
    image.files["checkpoint"] = notes[size];
    if (random() % 2 == 0) image.files["vkey"] = vkey + '\n';
    if (random() % 3 == 0) image.files["checkpoint.cosigned"] = notes[random() % (size + 1)];
    VerifyOptions options{.vkey = vkey, .older_checkpoint = {}};
    if (random() % 2 == 0) options.older_checkpoint = notes[random() % (size + 1)];
    refused += !VerifyLog(image, options).ok();
  }
  return refused;
}

}  // namespace sallyport::ledger
