#pragma once

#include <cstdint>
#include <filesystem>
#include <map>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/disk.h"

namespace sallyport::ledger {

/// Files and directories by number: a name is an entry of a directory, as on a disk.
struct DiskTree {
  struct Node {
    bool directory = false;
    std::string bytes;
    std::map<std::string, int> entries;
  };
  static constexpr int kRoot = 0;
  std::vector<Node> nodes{Node{true, {}, {}}};

  int Add(bool directory);
  /// The node of a path below the root; -1 if there is none.
  int Find(const std::string& path) const;
  /// Makes files and directories under `directory`, which is emptied before.
  void Write(const std::filesystem::path& directory) const;
};

/// One step on the disk.
struct DiskOperation {
  enum class Kind : uint8_t { write, resize, sync, name, sync_directory };
  struct Naming {  // `name` in `directory` is `node` from here on; -1: nothing
    int directory;
    std::string name;
    int node;
    bool directory_made = false;
  };
  Kind kind{};
  int node = -1;
  uint64_t at = 0;  // of a write: offset; of resize: the size
  std::string bytes{};
  std::vector<Naming> names{};  // happen together
};

/// Changes a tree as the operation does when everything gets to the disk.
void Apply(DiskTree& tree, const DiskOperation& operation);

/// What was done so far, and to what.
struct DiskRecord {
  DiskTree start;  // of this all is on the disk
  std::vector<DiskOperation> operations;
};

/// Does what it is told to below one directory, and writes it down in an order in which it may have
/// happened.
class RecordedDisk : public Disk {
 public:
  /// `root` holds what `before` ends with.
  RecordedDisk(std::filesystem::path root, DiskRecord before, std::string boot_id);

  int Open(const std::string& path, int flags, mode_t mode) override;
  ssize_t Write(int fd, std::span<const iovec> pieces, off_t at) override;
  int Truncate(int fd, off_t size) override;
  int SyncData(int fd) override;
  int Sync(int fd) override;
  int SyncPath(const std::string& path) override;
  int Rename(const std::string& from, const std::string& to, unsigned flags) override;
  int Unlink(const std::string& path) override;
  int MakeDirectory(const std::string& path, mode_t mode) override;
  int RemoveDirectory(const std::string& path) override;
  std::string BootId() override { return boot_id_; }
  std::chrono::milliseconds Rest() const override { return std::chrono::milliseconds(10); }

  /// How many operations there are; what is acknowledged now was so after this many.
  size_t count() const;
  /// A `checkpoint` that got its name: anybody may have it from then on.
  struct Published {
    size_t after;  // operations
    std::string note;
  };
  const std::vector<Published>& published() const { return published_; }
  const DiskRecord& record() const { return record_; }

 private:
  struct Place {
    int directory;
    std::string name;
    int node;
  };
  Place Locate(const std::string& path) const;
  void Add(DiskOperation operation);

  const std::filesystem::path root_;
  const std::string boot_id_;
  mutable std::mutex mutex_;
  DiskRecord record_;
  DiskTree now_;
  std::map<int, int> open_;  // descriptor → node
  std::vector<Published> published_;
};

}  // namespace sallyport::ledger
