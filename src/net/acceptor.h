#pragma once

#include <boost/asio/ip/tcp.hpp>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/loop.h"
#include "net/stream.h"

// Listening, for the servers of this folder; internal to net/.

namespace sallyport::net {

/// "127.0.0.1:8443", "[::1]:8443", "localhost:0". config_invalid.
Result<boost::asio::ip::tcp::endpoint> ParseAddress(const std::string& text);

/// SO_REUSEPORT lets a second process of the same user share a port in silence. A socket without it
/// cannot be bound beside such a listener: so this fails (io_failed) where another server already
/// is.
Result<> CheckPortIsFree(Loop& loop, const boost::asio::ip::tcp::endpoint& endpoint,
                         const std::string& address);

/// The address of the other side, without its port; IPv4 inside IPv6 as IPv4. Empty if it has
/// gone, and for a Unix socket.
std::string PeerAddress(const Socket& socket);

/// The listening socket of one shard; touched by that shard only once it accepts.
class Acceptor : public std::enable_shared_from_this<Acceptor> {
 public:
  explicit Acceptor(Loop& loop) : loop_(loop), acceptor_(loop.context()) {}
  virtual ~Acceptor() = default;

  /// `address` is what errors say.
  Result<> Bind(const boost::asio::ip::tcp::endpoint& endpoint, const std::string& address);
  uint16_t port() const { return acceptor_.local_endpoint().port(); }
  void Accept();
  void StopAccepting();

 protected:
  /// A connection and the address it comes from.
  virtual void Accepted(Socket socket, std::string peer) = 0;
  Loop& loop() { return loop_; }

 private:
  static boost::asio::awaitable<void> Rest(std::shared_ptr<Acceptor> self);

  Loop& loop_;
  boost::asio::basic_socket_acceptor<boost::asio::ip::tcp, boost::asio::io_context::executor_type>
      acceptor_;
};

}  // namespace sallyport::net
