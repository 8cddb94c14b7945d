#include "ledger/recorded_disk_for_tests.h"

#include <algorithm>
#include <cstdlib>
#include <fcntl.h>
#include <unistd.h>
#include <utility>

#include "base/descriptor.h"

namespace sallyport::ledger {
namespace {

/// Without the zeros at its end, which a hole says as well.
std::string_view Used(const std::string& bytes) {
  size_t end = bytes.size();
  while (end >= 4096 && bytes.compare(end - 4096, 4096, std::string(4096, '\0')) == 0) end -= 4096;
  return {bytes.data(), end};
}

void WriteNode(const DiskTree& tree, int number, const std::string& path) {
  const DiskTree::Node& node = tree.nodes[size_t(number)];
  if (!node.directory) {
    const Descriptor fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
    if (!fd || !WriteAll(fd, Used(node.bytes)) ||
        ::ftruncate(fd.get(), off_t(node.bytes.size())) != 0) {
      std::abort();
    }
    return;
  }
  std::filesystem::create_directories(path);
  for (const auto& [name, child] : node.entries) WriteNode(tree, child, path + '/' + name);
}

}  // namespace

int DiskTree::Add(bool directory) {
  nodes.push_back({directory, {}, {}});
  return int(nodes.size()) - 1;
}

int DiskTree::Find(const std::string& path) const {
  int at = kRoot;
  for (const auto& part : std::filesystem::path(path)) {
    if (part.empty() || part == ".") continue;
    const auto found = nodes[size_t(at)].entries.find(part.string());
    if (found == nodes[size_t(at)].entries.end()) return -1;
    at = found->second;
  }
  return at;
}

void DiskTree::Write(const std::filesystem::path& directory) const {
  std::filesystem::remove_all(directory);
  WriteNode(*this, kRoot, directory.string());
}

void Apply(DiskTree& tree, const DiskOperation& op) {
  switch (op.kind) {
    case DiskOperation::Kind::write: {
      std::string& bytes = tree.nodes[size_t(op.node)].bytes;
      if (bytes.size() < op.at + op.bytes.size()) bytes.resize(op.at + op.bytes.size());
      bytes.replace(op.at, op.bytes.size(), op.bytes);
      return;
    }
    case DiskOperation::Kind::resize:
      tree.nodes[size_t(op.node)].bytes.resize(op.at);
      return;
    case DiskOperation::Kind::name:
      for (const auto& naming : op.names) {
        auto& entries = tree.nodes[size_t(naming.directory)].entries;
        if (naming.node < 0) {
          entries.erase(naming.name);
        } else {
          entries[naming.name] = naming.node;
          if (naming.directory_made) tree.nodes[size_t(naming.node)].directory = true;
        }
      }
      return;
    case DiskOperation::Kind::sync:
    case DiskOperation::Kind::sync_directory:
      return;
  }
}

RecordedDisk::RecordedDisk(std::filesystem::path root, DiskRecord before, std::string boot_id)
    : root_(std::move(root)),
      boot_id_(std::move(boot_id)),
      record_(std::move(before)),
      now_(record_.start) {
  // Numbers of what has no name any more stay taken.
  for (const DiskOperation& op : record_.operations) {
    for (const auto& naming : op.names) {
      if (naming.node >= int(now_.nodes.size())) now_.nodes.resize(size_t(naming.node) + 1);
    }
  }
  for (const DiskOperation& op : record_.operations) Apply(now_, op);
}

size_t RecordedDisk::count() const {
  const std::lock_guard lock(mutex_);
  return record_.operations.size();
}

RecordedDisk::Place RecordedDisk::Locate(const std::string& path) const {
  const std::filesystem::path below = std::filesystem::path(path).lexically_relative(root_);
  if (below.empty() || *below.begin() == "..") std::abort();  // the ledger has no business there
  return {now_.Find(below.parent_path().string()), below.filename().string(),
          now_.Find(below.string())};
}

void RecordedDisk::Add(DiskOperation operation) {
  Apply(now_, operation);
  record_.operations.push_back(std::move(operation));
}

int RecordedDisk::Open(const std::string& path, int flags, mode_t mode) {
  const std::lock_guard lock(mutex_);
  const int fd = Disk::Open(path, flags, mode);
  if (fd < 0) return fd;
  Place place = Locate(path);
  if (place.node < 0) {
    place.node = now_.Add(false);
    Add({.kind = DiskOperation::Kind::name, .names = {{place.directory, place.name, place.node}}});
  } else if ((flags & O_TRUNC) != 0 && !now_.nodes[size_t(place.node)].bytes.empty()) {
    Add({.kind = DiskOperation::Kind::resize, .node = place.node, .at = 0});
  }
  open_[fd] = place.node;
  return fd;
}

ssize_t RecordedDisk::Write(int fd, std::span<const iovec> pieces, off_t at) {
  const std::lock_guard lock(mutex_);
  const ssize_t n = Disk::Write(fd, pieces, at);
  if (n <= 0) return n;
  std::string bytes;
  for (const iovec& piece : pieces)
    bytes.append(static_cast<const char*>(piece.iov_base), piece.iov_len);
  bytes.resize(size_t(n));
  Add({.kind = DiskOperation::Kind::write,
       .node = open_.at(fd),
       .at = uint64_t(at),
       .bytes = std::move(bytes)});
  return n;
}

int RecordedDisk::Truncate(int fd, off_t size) {
  const std::lock_guard lock(mutex_);
  const int result = Disk::Truncate(fd, size);
  if (result == 0)
    Add({.kind = DiskOperation::Kind::resize, .node = open_.at(fd), .at = uint64_t(size)});
  return result;
}

int RecordedDisk::SyncData(int fd) { return Sync(fd); }

/// Nothing has to get to a real disk here.
int RecordedDisk::Sync(int fd) {
  const std::lock_guard lock(mutex_);
  Add({.kind = DiskOperation::Kind::sync, .node = open_.at(fd)});
  return 0;
}

int RecordedDisk::SyncPath(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const auto below = std::filesystem::path(path).lexically_relative(root_);
  if (*below.begin() == "..") return 0;  // not looked at
  const int node = below == "." ? DiskTree::kRoot : now_.Find(below.string());
  if (node < 0) {
    errno = ENOENT;
    return -1;
  }
  const bool directory = now_.nodes[size_t(node)].directory;
  Add({.kind = directory ? DiskOperation::Kind::sync_directory : DiskOperation::Kind::sync,
       .node = node});
  return 0;
}

int RecordedDisk::Rename(const std::string& from, const std::string& to, unsigned flags) {
  const std::lock_guard lock(mutex_);
  const int result = Disk::Rename(from, to, flags);
  if (result != 0) return result;
  const Place a = Locate(from), b = Locate(to);
  const bool exchange = (flags & RENAME_EXCHANGE) != 0;
  Add({.kind = DiskOperation::Kind::name,
       .names = {{a.directory, a.name, exchange ? b.node : -1}, {b.directory, b.name, a.node}}});
  if (to.ends_with("/log/checkpoint"))
    published_.push_back({record_.operations.size(), now_.nodes[size_t(a.node)].bytes});
  return 0;
}

int RecordedDisk::Unlink(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const Place place = Locate(path);
  const int result = Disk::Unlink(path);
  if (result == 0)
    Add({.kind = DiskOperation::Kind::name, .names = {{place.directory, place.name, -1}}});
  return result;
}

int RecordedDisk::MakeDirectory(const std::string& path, mode_t mode) {
  const std::lock_guard lock(mutex_);
  const int result = Disk::MakeDirectory(path, mode);
  if (result != 0) return result;
  const Place place = Locate(path);
  const int node = now_.Add(true);
  Add({.kind = DiskOperation::Kind::name, .names = {{place.directory, place.name, node, true}}});
  return 0;
}

int RecordedDisk::RemoveDirectory(const std::string& path) {
  const std::lock_guard lock(mutex_);
  const Place place = Locate(path);
  const int result = Disk::RemoveDirectory(path);
  if (result == 0)
    Add({.kind = DiskOperation::Kind::name, .names = {{place.directory, place.name, -1}}});
  return result;
}

}  // namespace sallyport::ledger
