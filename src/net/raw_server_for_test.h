#pragma once

#include <arpa/inet.h>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <mutex>
#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <sys/socket.h>
#include <thread>
#include <unistd.h>
#include <vector>

namespace sallyport::net {

/// An upstream that says exactly what a test wants it to say: each connection gets a thread that
/// runs the script with its socket and its number, and closes the socket afterwards.
class RawServer {
 public:
  using Script = std::function<void(int fd, int number)>;

  explicit RawServer(Script script) : script_(std::move(script)) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in at{};
    at.sin_family = AF_INET;
    at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof at;
    if (::bind(fd_, reinterpret_cast<sockaddr*>(&at), size) != 0 || ::listen(fd_, 64) != 0)
      std::abort();
    ::getsockname(fd_, reinterpret_cast<sockaddr*>(&at), &size);
    port_ = ntohs(at.sin_port);
    acceptor_ = std::thread([this] { Accept(); });
  }
  ~RawServer() {
    stopping_ = true;
    ::shutdown(fd_, SHUT_RDWR);
    acceptor_.join();
    {
      std::lock_guard lock(mutex_);
      for (const int fd : open_) ::shutdown(fd, SHUT_RDWR);
    }
    for (auto& thread : threads_) thread.join();
    ::close(fd_);
  }

  uint16_t port() const { return port_; }
  int accepted() const { return accepted_; }

  static bool Send(int fd, std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(size_t(n));
    }
    return true;
  }
  /// One request with its body by Content-Length; empty when the client has closed.
  static std::string ReadRequest(int fd) {
    std::string all;
    char c[16384];
    for (;;) {
      const size_t end = all.find("\r\n\r\n");
      if (end != all.npos) {
        const size_t at = all.find("Content-Length: ");
        const size_t length = at < end ? size_t(std::atoll(all.c_str() + at + 16)) : 0;
        if (all.size() >= end + 4 + length) return all;
      }
      const ssize_t n = ::recv(fd, c, sizeof c, 0);
      if (n <= 0) return {};
      all.append(c, size_t(n));
    }
  }
  /// True if the client closes within `ms`.
  static bool Closed(int fd, int ms) {
    pollfd p{fd, POLLIN, 0};
    char c[4096];
    while (::poll(&p, 1, ms) > 0) {
      if (::recv(fd, c, sizeof c, 0) <= 0) return true;
    }
    return false;
  }

 private:
  void Accept() {
    while (!stopping_) {
      const int fd = ::accept4(fd_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd < 0) continue;
      const int number = accepted_++;
      std::lock_guard lock(mutex_);
      open_.push_back(fd);
      threads_.emplace_back([this, fd, number] {
        script_(fd, number);
        std::lock_guard inner(mutex_);
        std::erase(open_, fd);
        ::close(fd);
      });
    }
  }

  Script script_;
  int fd_ = -1;
  uint16_t port_ = 0;
  std::atomic<bool> stopping_{false};
  std::atomic<int> accepted_{0};
  std::mutex mutex_;
  std::vector<int> open_;
  std::vector<std::thread> threads_;
  std::thread acceptor_;
};

}  // namespace sallyport::net
