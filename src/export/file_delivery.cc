#include <algorithm>
#include <array>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/descriptor.h"
#include "export/deliveries.h"
#include "ledger/file.h"

namespace sallyport::exporting {
namespace {

class FileDelivery final : public Delivery {
 public:
  explicit FileDelivery(FileTarget target) : path_(std::move(target.path)) {}

  Result<std::vector<Refused>> Send(const Batch& batch) override {
    SALLYPORT_CHECK(Open());
    std::string lines;
    for (const Item& item : batch.items) lines.append(item.text).append("\n");
    struct stat before{};
    if (::fstat(file_.get(), &before) != 0) return Broken("stat");
    for (size_t done = 0; done < lines.size();) {
      const ssize_t n = ::write(file_.get(), lines.data() + done, lines.size() - done);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) {
        auto broken = Broken("write");
        // Part of a line would be the beginning of the next one.
        (void)::ftruncate(file_.get(), before.st_size);
        return broken;
      }
      done += size_t(n);
    }
    if (::fdatasync(file_.get()) != 0) return Broken("sync");
    end_ = batch.end();
    return std::vector<Refused>{};
  }

  Result<uint64_t> Confirmed() override { return end_; }

  uint64_t Restart(uint64_t cursor) override {
    file_ = Descriptor();
    end_ = 0;
    return cursor;
  }

 private:
  std::unexpected<Error> Broken(std::string_view doing) const {
    return std::unexpected(ledger::SystemError(doing, path_));
  }

  Result<> Open() {
    struct stat there{}, ours{};
    const bool exists = ::lstat(path_.c_str(), &there) == 0;
    if (file_ && exists && ::fstat(file_.get(), &ours) == 0 && there.st_ino == ours.st_ino &&
        there.st_dev == ours.st_dev)
      return {};
    Descriptor opened(::open(
        path_.c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600));
    if (!opened) return Broken("open");
    if (::fstat(opened.get(), &ours) != 0) return Broken("stat");
    if (!S_ISREG(ours.st_mode))
      return Fail(Errc::io_failed, path_.string() + " is not a regular file");
    SALLYPORT_CHECK(DropTornLine(opened, ours.st_size));
    if (!exists) SALLYPORT_CHECK(ledger::SyncPath(path_.parent_path()));
    file_ = std::move(opened);
    return {};
  }

  Result<> DropTornLine(const Descriptor& file, off_t size) const {
    std::array<char, 4096> buffer;
    off_t end = size;  // behind the last whole line, as far as is known
    while (end > 0) {
      const off_t from = std::max<off_t>(0, end - off_t(buffer.size()));
      const ssize_t n = ::pread(file.get(), buffer.data(), size_t(end - from), from);
      if (n != end - from) return Broken("read");
      const std::string_view part(buffer.data(), size_t(n));
      const size_t newline = part.rfind('\n');
      if (newline != part.npos) {
        end = from + off_t(newline) + 1;
        break;
      }
      end = from;
    }
    if (end != size && ::ftruncate(file.get(), end) != 0) return Broken("truncate");
    return {};
  }

  const std::filesystem::path path_;
  Descriptor file_;
  uint64_t end_ = 0;
};

}  // namespace

std::unique_ptr<Delivery> MakeFileDelivery(FileTarget target) {
  return std::make_unique<FileDelivery>(std::move(target));
}

}  // namespace sallyport::exporting
