#pragma once

#include <chrono>
#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <sys/types.h>
#include <sys/uio.h>

namespace sallyport::ledger {

/// Everything by which the writer of the log changes what is on the disk: this class makes the
/// system calls. A test puts another one in its place that records them (then every state that a
/// power cut may leave can be made out of the record) or lets one fail. Reading goes past it.
///
/// Each returns what the system call returns, with errno. Thread-safe. In production there is this
/// one, and a call costs a jump more than the system call itself.
class Disk {
 public:
  virtual ~Disk() = default;

  /// open(2) for writing.
  virtual int Open(const std::string& path, int flags, mode_t mode);
  virtual ssize_t Write(int fd, std::span<const iovec> pieces, off_t at);  // pwritev(2)
  virtual int Truncate(int fd, off_t size);
  virtual int SyncData(int fd);                   // fdatasync(2)
  virtual int Sync(int fd);                       // fsync(2)
  virtual int SyncPath(const std::string& path);  // fsync(2) of a file or directory by name
  virtual int Rename(const std::string& from, const std::string& to, unsigned flags);  // renameat2
  virtual int Unlink(const std::string& path);
  virtual int MakeDirectory(const std::string& path, mode_t mode);
  virtual int RemoveDirectory(const std::string& path);

  /// Identifies the running boot of this machine; "unknown" where the kernel does not tell.
  virtual std::string BootId();
  /// How long a file that has left its name is not written again: who has it open still reads it.
  virtual std::chrono::milliseconds Rest() const { return std::chrono::seconds(5); }
};

/// The one in use.
Disk& TheDisk();

/// Puts another disk in place while it lives. For tests, while no log is open.
class DiskInPlace {
 public:
  explicit DiskInPlace(Disk& disk);
  ~DiskInPlace();
  DiskInPlace(const DiskInPlace&) = delete;
  DiskInPlace& operator=(const DiskInPlace&) = delete;

 private:
  Disk* before_;
};

/// All of `bytes` from offset 0 on; false with errno set.
bool WriteWhole(int fd, std::string_view bytes);

}  // namespace sallyport::ledger
