#include "ledger/power_cut_for_tests.h"

#include <algorithm>
#include <utility>

namespace sallyport::ledger {
namespace {

constexpr uint64_t kSector = 512;
using Kind = DiskOperation::Kind;

bool SharePlace(const DiskOperation& a, const DiskOperation& b) {
  for (const auto& x : a.names) {
    for (const auto& y : b.names) {
      if (x.directory == y.directory && x.name == y.name) return true;
    }
  }
  return false;
}

/// 0: never.
bool OneIn(std::mt19937_64& random, unsigned n) { return n != 0 && random() % n == 0; }

/// Writes into `bytes` the sectors of one operation that get there. A sector that has missed one
/// gets none of the later ones: what goes to the disk is what the memory held at some moment.
void ApplySectors(std::string& bytes, uint64_t at, std::string_view data, unsigned miss_one_in,
                  std::set<uint64_t>& stopped, std::mt19937_64& random) {
  while (!data.empty()) {
    const uint64_t sector = at / kSector;
    const size_t length = std::min<size_t>(data.size(), kSector - at % kSector);
    if (!stopped.contains(sector)) {
      if (OneIn(random, miss_one_in)) {
        stopped.insert(sector);
      } else {
        if (bytes.size() < at + length) bytes.resize(at + length);
        bytes.replace(at, length, data.substr(0, length));
      }
    }
    at += length;
    data.remove_prefix(length);
  }
}

}  // namespace

PowerCut::PowerCut(const DiskRecord& record) : record_(record), kept_(record.start) {
  for (const DiskOperation& op : record.operations) {
    for (const auto& naming : op.names) {
      if (naming.node >= int(kept_.nodes.size())) kept_.nodes.resize(size_t(naming.node) + 1);
    }
  }
}

bool PowerCut::Advance() {
  if (done_ == record_.operations.size()) return false;
  const DiskOperation& op = record_.operations[done_];
  switch (op.kind) {
    case Kind::write:
    case Kind::resize:
      unsynced_[op.node].push_back(done_);
      break;
    case Kind::name:
      names_.push_back(done_);
      break;
    case Kind::sync:
      for (const size_t i : unsynced_[op.node]) Apply(kept_, record_.operations[i]);
      unsynced_.erase(op.node);
      break;
    case Kind::sync_directory:
      SyncDirectory(op.node);
      break;
  }
  ++done_;
  return true;
}

/// Its names are kept, and with them what they were made of.
void PowerCut::SyncDirectory(int node) {
  std::vector<bool> keep(names_.size());
  for (size_t i = names_.size(); i-- > 0;) {
    const DiskOperation& op = record_.operations[names_[i]];
    if (std::ranges::any_of(op.names, [&](const auto& n) { return n.directory == node; }))
      keep[i] = true;
    for (size_t later = i + 1; later < names_.size() && !keep[i]; ++later) {
      keep[i] = keep[later] && SharePlace(op, record_.operations[names_[later]]);
    }
  }
  Numbers rest;
  for (size_t i = 0; i < names_.size(); ++i) {
    if (keep[i]) {
      Apply(kept_, record_.operations[names_[i]]);
    } else {
      rest.push_back(names_[i]);
    }
  }
  names_ = std::move(rest);
}

std::vector<bool> PowerCut::ChooseNames(Left left, std::mt19937_64& random) const {
  std::vector<bool> chosen(names_.size(), left == Left::all);
  if (left == Left::journal) {
    std::fill_n(chosen.begin(), long(random() % (names_.size() + 1)), true);
  } else if (left == Left::anything) {
    const unsigned miss_one_in = 2 + unsigned(random() % 8);
    for (size_t i = 0; i < names_.size(); ++i) {
      chosen[i] = !OneIn(random, miss_one_in);
      for (size_t before = 0; before < i && chosen[i]; ++before) {
        if (!chosen[before] &&
            SharePlace(record_.operations[names_[before]], record_.operations[names_[i]]))
          chosen[i] = false;
      }
    }
  }
  return chosen;
}

std::string PowerCut::ChooseBytes(int node, Left left, std::mt19937_64& random) const {
  std::string bytes = kept_.nodes[size_t(node)].bytes;
  const auto found = unsynced_.find(node);
  if (found == unsynced_.end() || left == Left::nothing) return bytes;
  const Numbers& operations = found->second;
  size_t count = operations.size();
  unsigned miss_one_in = 0;
  if (left != Left::all) {
    const unsigned style = unsigned(random() % 4);
    if (style == 0) return bytes;
    if (style == 1) count = random() % (count + 1);
    if (style == 3) miss_one_in = 2 + unsigned(random() % 20);
  }
  std::set<uint64_t> stopped;
  std::vector<uint64_t> sizes{bytes.size()};
  uint64_t size = bytes.size();
  for (size_t i = 0; i < operations.size(); ++i) {
    const DiskOperation& op = record_.operations[operations[i]];
    const uint64_t before = size;
    size = op.kind == Kind::resize ? op.at : std::max(size, op.at + op.bytes.size());
    if (size != before) sizes.push_back(size);
    if (i >= count && !(left != Left::all && i == count && OneIn(random, 2))) continue;
    const unsigned miss = i >= count ? 2 : miss_one_in;  // the one that was on its way is torn
    if (op.kind == Kind::write) {
      ApplySectors(bytes, op.at, op.bytes, miss, stopped, random);
    } else if (op.at < bytes.size()) {
      ApplySectors(bytes, op.at, std::string(bytes.size() - op.at, '\0'), miss, stopped, random);
    }
  }
  bytes.resize(left == Left::all ? size : sizes[random() % sizes.size()]);
  return bytes;
}

void PowerCut::Copy(DiskTree& out, const DiskTree& names, int from, int to, Left left,
                    std::mt19937_64& random) const {
  for (const auto& [name, node] : names.nodes[size_t(from)].entries) {
    const bool directory = names.nodes[size_t(node)].directory;
    const int copy = out.Add(directory);
    out.nodes[size_t(to)].entries[name] = copy;
    if (directory) {
      Copy(out, names, node, copy, left, random);
    } else {
      out.nodes[size_t(copy)].bytes = ChooseBytes(node, left, random);
    }
  }
}

DiskTree PowerCut::After(Left left, std::mt19937_64& random) const {
  DiskTree names;
  names.nodes.resize(kept_.nodes.size());
  for (size_t i = 0; i < kept_.nodes.size(); ++i) {
    names.nodes[i].directory = kept_.nodes[i].directory;
    names.nodes[i].entries = kept_.nodes[i].entries;
  }
  const std::vector<bool> chosen = ChooseNames(left, random);
  for (size_t i = 0; i < names_.size(); ++i) {
    if (chosen[i]) Apply(names, record_.operations[names_[i]]);
  }
  DiskTree out;
  Copy(out, names, DiskTree::kRoot, DiskTree::kRoot, left, random);
  return out;
}

}  // namespace sallyport::ledger
