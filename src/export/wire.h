#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <stop_token>
#include <string>
#include <string_view>

#include "base/descriptor.h"
#include "base/result.h"
#include "net/tls.h"

struct ssl_st;

namespace sallyport::exporting {

/// A TCP connection, plain or under TLS, for a thread that may block and a receiver that says
/// nothing. Every wait ends within a fifth of a second once `stop` is requested (cancelled).
class Wire {
 public:
  /// Connects, and under TLS verifies the certificate for `host`. `context` is null for a plain
  /// connection. upstream_unreachable, upstream_timeout, upstream_protocol.
  static Result<std::unique_ptr<Wire>> Connect(const std::string& host, uint16_t port,
                                               const net::TlsContext& context,
                                               std::chrono::milliseconds limit,
                                               std::stop_token stop);
  /// Says close_notify, and waits shortly until the receiver has closed as well.
  ~Wire();

  /// Hands all of it to the kernel. upstream_timeout when the receiver takes no byte for `limit`;
  /// upstream_closed.
  Result<> Write(std::string_view bytes, std::chrono::milliseconds limit);

  enum class State : uint8_t { open, ended, broken };
  /// Looks whether the receiver has ended (it has read all that reached it), or broken off (by a
  /// reset, where bytes may be lost). Does not wait.
  State Look();

  /// Bytes that the receiver's machine has acknowledged, of all that were handed to the kernel.
  uint64_t acknowledged() const;
  uint64_t written() const;

 private:
  struct FreeTls {
    void operator()(ssl_st* tls) const;
  };

  Wire(Descriptor socket, std::stop_token stop)
      : socket_(std::move(socket)), stop_(std::move(stop)) {}
  Result<> StartTls(const net::TlsContext& context, const std::string& host,
                    std::chrono::steady_clock::time_point until);
  /// Waits for what a call of OpenSSL that gave `result` wants; its failure, if it wants nothing.
  Result<> WaitForTls(int result, std::chrono::steady_clock::time_point until);
  Result<> Wait(short events, std::chrono::steady_clock::time_point until) const;
  State LookUnderTls();

  Descriptor socket_;
  std::unique_ptr<ssl_st, FreeTls> tls_;  // null: plain
  std::stop_token stop_;
  uint64_t plain_written_ = 0;
};

}  // namespace sallyport::exporting
