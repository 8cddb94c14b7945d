#pragma once

#include <cerrno>
#include <cstddef>
#include <optional>
#include <span>
#include <string_view>
#include <unistd.h>
#include <utility>

namespace sallyport {

/// Owns an open file descriptor, or none (-1).
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  explicit operator bool() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

/// Reads from where the descriptor stands until `into` is full or the file ends; the number of
/// bytes read, or nullopt with errno set.
inline std::optional<size_t> ReadUpTo(const Descriptor& file, std::span<char> into) {
  size_t done = 0;
  while (done < into.size()) {
    const ssize_t n = ::read(file.get(), into.data() + done, into.size() - done);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::nullopt;
    if (n == 0) break;
    done += static_cast<size_t>(n);
  }
  return done;
}

/// Writes all of `bytes` where the descriptor stands; false with errno set.
inline bool WriteAll(const Descriptor& file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = ::write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  return true;
}

}  // namespace sallyport
