#include "net/acceptor.h"

#include <charconv>
#include <utility>

#include "net/event.h"
#include "obs/log.h"

namespace sallyport::net {

namespace asio = boost::asio;
using asio::ip::tcp;

Result<tcp::endpoint> ParseAddress(const std::string& text) {
  const size_t colon = text.rfind(':');
  if (colon == text.npos) return Fail(Errc::config_invalid, text + " is not address:port");
  std::string host = text.substr(0, colon);
  if (host.starts_with('[') && host.ends_with(']')) host = host.substr(1, host.size() - 2);
  if (host == "localhost") host = "127.0.0.1";
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  unsigned port = 0;
  const char* end = text.data() + text.size();
  const auto read = std::from_chars(text.data() + colon + 1, end, port);
  if (error || read.ec != std::errc() || read.ptr != end || port > 65535)
    return Fail(Errc::config_invalid, text + " is not address:port");
  return tcp::endpoint(address, uint16_t(port));
}

Result<> CheckPortIsFree(Loop& loop, const tcp::endpoint& endpoint, const std::string& address) {
  if (endpoint.port() == 0) return {};
  boost::system::error_code error;
  tcp::acceptor probe(loop.context());
  probe.open(endpoint.protocol(), error);
  if (!error) probe.set_option(asio::socket_base::reuse_address(true), error);
  if (!error) probe.bind(endpoint, error);
  if (error) return Fail(Errc::io_failed, address + ": bind: " + error.message());
  return {};
}

std::string PeerAddress(const Socket& socket) {
  boost::system::error_code error;
  const tcp::endpoint peer = socket.remote_endpoint(error);
  const int family = peer.data()->sa_family;
  if (error || (family != AF_INET && family != AF_INET6)) return {};
  auto address = peer.address();
  if (address.is_v6() && address.to_v6().is_v4_mapped())
    address = asio::ip::make_address_v4(asio::ip::v4_mapped, address.to_v6());
  return address.to_string();
}

Result<> Acceptor::Bind(const tcp::endpoint& endpoint, const std::string& address) {
  boost::system::error_code error;
  const auto failed = [&](const char* what) {
    return Fail(Errc::io_failed, address + ": " + what + ": " + error.message());
  };
  const asio::detail::socket_option::boolean<SOL_SOCKET, SO_REUSEPORT> shared_port(true);
  if (acceptor_.open(endpoint.protocol(), error); error) return failed("socket");
  if (acceptor_.set_option(asio::socket_base::reuse_address(true), error); error)
    return failed("SO_REUSEADDR");
  if (acceptor_.set_option(shared_port, error); error) return failed("SO_REUSEPORT");
  if (acceptor_.bind(endpoint, error); error) return failed("bind");
  if (acceptor_.listen(4096, error); error) return failed("listen");
  return {};
}

void Acceptor::Accept() {
  if (!acceptor_.is_open()) return;
  acceptor_.async_accept(
      [self = shared_from_this()](boost::system::error_code error, Socket socket) {
        if (error == asio::error::operation_aborted || !self->acceptor_.is_open()) return;
        if (error) {
          // Out of descriptors or memory: a short rest instead of a loop that eats the core.
          obs::Log(obs::Level::error, "net.accept_failed", {{"detail", error.message()}});
          Spawn(self->loop_.context().get_executor(), Rest(self));
          return;
        }
        // A peer that has gone before it was looked at has no address.
        if (std::string peer = PeerAddress(socket); !peer.empty())
          self->Accepted(std::move(socket), std::move(peer));
        self->Accept();
      });
}

void Acceptor::StopAccepting() {
  boost::system::error_code ignored;
  acceptor_.close(ignored);
}

asio::awaitable<void> Acceptor::Rest(std::shared_ptr<Acceptor> self) {
  (void)co_await Sleep(std::chrono::milliseconds(100));
  self->Accept();
}

}  // namespace sallyport::net
