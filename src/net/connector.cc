#include "net/connector.h"

#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <optional>
#include <utility>
#include <vector>

namespace sallyport::net {

namespace asio = boost::asio;
using asio::ip::tcp;
using asio::local::stream_protocol;

namespace {

using Resolver = asio::ip::basic_resolver<tcp, asio::io_context::executor_type>;
using LocalSocket = asio::basic_stream_socket<stream_protocol, asio::io_context::executor_type>;

/// What a callback leaves for a coroutine that may have given up meanwhile.
template <class T>
struct Handover {
  explicit Handover(Loop& loop) : parking(loop) {}
  Parking parking;
  boost::system::error_code error;
  T value{};
};

Task<std::vector<tcp::endpoint>> Resolve(Loop& loop, const std::string& host, uint16_t port,
                                         TimePoint until) {
  boost::system::error_code error;
  const auto address = asio::ip::make_address(host, error);
  std::vector<tcp::endpoint> endpoints;
  if (!error) {
    endpoints.emplace_back(address, port);
    co_return endpoints;
  }
  // The system's resolver blocks on a thread of its own and cannot be interrupted: whoever waits
  // too long leaves it behind.
  const auto handover = std::make_shared<Handover<std::vector<tcp::endpoint>>>(loop);
  const auto resolver = std::make_shared<Resolver>(loop.context());
  resolver->async_resolve(
      host, std::to_string(port), Resolver::numeric_service,
      [handover, resolver](boost::system::error_code e, const Resolver::results_type& results) {
        handover->error = e;
        for (const auto& entry : results) handover->value.push_back(entry.endpoint());
        handover->parking.Resume();
      });
  const Parking::Wake wake = co_await handover->parking.Wait(until);
  if (wake == Parking::Wake::timeout)
    co_return Fail(Errc::upstream_timeout, host + ": name resolution");
  if (wake == Parking::Wake::gone) co_return Fail(Errc::cancelled);
  if (handover->error)
    co_return Fail(Errc::upstream_unreachable, host + ": " + handover->error.message());
  co_return std::move(handover->value);
}

template <class AnySocket>
Task<AnySocket> ConnectTo(Loop& loop, typename AnySocket::endpoint_type endpoint, std::string name,
                          TimePoint until) {
  const auto handover = std::make_shared<Handover<std::optional<AnySocket>>>(loop);
  handover->value.emplace(loop.context());
  handover->value->async_connect(endpoint, [handover](boost::system::error_code error) {
    handover->error = error;
    handover->parking.Resume();
  });
  const Parking::Wake wake = co_await handover->parking.Wait(until);
  if (wake != Parking::Wake::signalled) {
    boost::system::error_code ignored;
    handover->value->close(ignored);
    if (wake == Parking::Wake::gone) co_return Fail(Errc::cancelled);
    co_return Fail(Errc::upstream_timeout, name + ": connecting");
  }
  if (handover->error)
    co_return Fail(Errc::upstream_unreachable, name + ": " + handover->error.message());
  co_return std::move(*handover->value);
}

/// A Stream only sends, receives and waits, which is the same for both families: so the descriptor
/// lives on in a Socket.
Task<Socket> ConnectLocal(Loop& loop, std::string path, TimePoint until) {
  if (path.size() > 107)  // sun_path less its NUL
    co_return Fail(Errc::config_invalid, path + ": the path of a Unix socket is too long");
  SALLYPORT_CO_TRY(LocalSocket local, co_await ConnectTo<LocalSocket>(
                                          loop, stream_protocol::endpoint(path), path, until));
  Socket socket(loop.context());
  boost::system::error_code error;
  const int descriptor = local.release(error);
  if (!error) socket.assign(tcp::v4(), descriptor, error);
  if (error) co_return Fail(Errc::io_failed, path + ": " + error.message());
  co_return std::move(socket);
}

}  // namespace

Task<Socket> ConnectSocket(Loop& loop, std::string host, uint16_t port, TimePoint until) {
  if (host.starts_with('/')) co_return co_await ConnectLocal(loop, std::move(host), until);
  const std::string name = host + ":" + std::to_string(port);
  SALLYPORT_CO_TRY(const std::vector<tcp::endpoint> endpoints,
                   co_await Resolve(loop, host, port, until));
  Result<Socket> connected = Fail(Errc::upstream_unreachable, name + ": no address");
  for (size_t i = 0; i < endpoints.size(); ++i) {
    const TimePoint now = std::chrono::steady_clock::now();
    if (now >= until) break;
    connected = co_await ConnectTo<Socket>(loop, endpoints[i], name,
                                           now + (until - now) / int(endpoints.size() - i));
    if (connected || connected.error().code == Errc::cancelled) break;
  }
  co_return connected;
}

}  // namespace sallyport::net
