#pragma once

#include <arpa/inet.h>
#include <chrono>
#include <cstdlib>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string>
#include <string_view>
#include <sys/socket.h>
#include <unistd.h>

namespace sallyport::net {

/// A blocking socket that says exactly what a test wants it to say.
class RawClient {
 public:
  explicit RawClient(uint16_t port, int receive_buffer = 0) {
    fd_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (receive_buffer > 0)
      ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(port);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) == 0;
    const int yes = 1;
    ::setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
  }
  RawClient(const RawClient&) = delete;
  ~RawClient() { Close(); }

  int fd() const { return fd_; }
  bool connected() const { return connected_; }
  void Close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void CloseWriting() { ::shutdown(fd_, SHUT_WR); }
  void Reset() {
    const linger now{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof now);
    Close();
  }

  bool Send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(size_t(n));
    }
    return true;
  }
  /// Whatever comes next; empty at the end of the stream or after `limit`.
  std::string ReadSome(std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    pollfd p{fd_, POLLIN, 0};
    if (::poll(&p, 1, int(limit.count())) <= 0) return {};
    char buffer[64 << 10];
    const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
    closed_ |= n <= 0;
    return n > 0 ? std::string(buffer, size_t(n)) : std::string();
  }
  std::string ReadUntil(std::string_view mark,
                        std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (rest_.find(mark) == rest_.npos && !closed_ && std::chrono::steady_clock::now() < until)
      rest_ += ReadSome(std::chrono::milliseconds(50));
    const size_t at = rest_.find(mark);
    std::string read = rest_.substr(0, at == rest_.npos ? at : at + mark.size());
    rest_.erase(0, read.size());
    return read;
  }
  /// One response with Content-Length.
  std::string ReadResponse(std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    std::string head = ReadUntil("\r\n\r\n", limit);
    const size_t at = head.find("Content-Length: ");
    size_t length = at == head.npos ? 0 : size_t(std::atoll(head.c_str() + at + 16));
    const auto until = std::chrono::steady_clock::now() + limit;
    while (rest_.size() < length && !closed_ && std::chrono::steady_clock::now() < until)
      rest_ += ReadSome(std::chrono::milliseconds(50));
    length = std::min(length, rest_.size());
    head += rest_.substr(0, length);
    rest_.erase(0, length);
    return head;
  }
  std::string ReadAll(std::chrono::milliseconds limit = std::chrono::seconds(5)) {
    const auto until = std::chrono::steady_clock::now() + limit;
    while (!closed_ && std::chrono::steady_clock::now() < until)
      rest_ += ReadSome(std::chrono::milliseconds(50));
    return std::move(rest_);
  }
  /// True once the peer has closed.
  bool closed() const { return closed_; }

 private:
  int fd_ = -1;
  bool connected_ = false;
  bool closed_ = false;
  std::string rest_;
};

}  // namespace sallyport::net
