#include "ledger/disk.h"

#include <cerrno>
#include <cstdio>
#include <fcntl.h>
#include <fstream>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include "base/descriptor.h"

namespace sallyport::ledger {
namespace {

Disk g_real;
Disk* g_disk = &g_real;

}  // namespace

int Disk::Open(const std::string& path, int flags, mode_t mode) {
  return ::open(path.c_str(), flags, mode);
}
ssize_t Disk::Write(int fd, std::span<const iovec> pieces, off_t at) {
  return ::pwritev(fd, pieces.data(), int(pieces.size()), at);
}
int Disk::Truncate(int fd, off_t size) { return ::ftruncate(fd, size); }
int Disk::SyncData(int fd) { return ::fdatasync(fd); }
int Disk::Sync(int fd) { return ::fsync(fd); }
int Disk::SyncPath(const std::string& path) {
  const Descriptor fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  return fd ? ::fsync(fd.get()) : -1;
}
int Disk::Rename(const std::string& from, const std::string& to, unsigned flags) {
  if (flags == 0) return ::rename(from.c_str(), to.c_str());
  return ::renameat2(AT_FDCWD, from.c_str(), AT_FDCWD, to.c_str(), flags);
}
int Disk::Unlink(const std::string& path) { return ::unlink(path.c_str()); }
int Disk::MakeDirectory(const std::string& path, mode_t mode) {
  return ::mkdir(path.c_str(), mode);
}
int Disk::RemoveDirectory(const std::string& path) { return ::rmdir(path.c_str()); }

std::string Disk::BootId() {
  std::ifstream file("/proc/sys/kernel/random/boot_id");
  std::string id;
  if (!(file >> id) || id.empty()) id = "unknown";
  return id;
}

Disk& TheDisk() { return *g_disk; }

DiskInPlace::DiskInPlace(Disk& disk) : before_(std::exchange(g_disk, &disk)) {}
DiskInPlace::~DiskInPlace() { g_disk = before_; }

bool WriteWhole(int fd, std::string_view bytes) {
  for (size_t done = 0; done < bytes.size();) {
    const iovec piece{const_cast<char*>(bytes.data()) + done, bytes.size() - done};
    const ssize_t n = TheDisk().Write(fd, {&piece, 1}, off_t(done));
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    done += size_t(n);
  }
  return true;
}

}  // namespace sallyport::ledger
