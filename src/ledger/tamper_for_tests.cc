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

/// All tiles and bundles that a checkpoint of the first `size` entries needs.
void AddTiles(Image& image, const std::vector<std::string>& entries, size_t size) {
  Frontier tree;
  std::vector<TileHash> hashes;
  for (size_t i = 0; i < size; ++i) tree.Append(LeafHash(entries[i]), &hashes);
  std::map<std::pair<unsigned, uint64_t>, Hash> known;
  for (const TileHash& h : hashes) known[{h.level, h.index}] = h.hash;
  for (const TileName& name : TilesOf(size)) {
    std::string bytes;
    for (uint64_t i = name.number * kTileWidth; i < name.number * kTileWidth + name.width; ++i) {
      if (name.entries) {
        AppendToBundle(bytes, entries[i]);
      } else {
        const Hash& h = known.at({name.level, i});
        bytes.append(reinterpret_cast<const char*>(h.data()), h.size());
      }
    }
    image.files[TilePath(name)] = std::move(bytes);
  }
}

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
  for (const size_t size : older_sizes_) {
    if (size <= entries.size()) AddTiles(image, entries, size);
  }
  AddTiles(image, entries, entries.size());
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

}  // namespace sallyport::ledger
