#pragma once

#include <boost/asio/detail/reactor.hpp>
#include <boost/asio/detail/reactor_op.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <memory>

// One way in which this folder reaches behind Asio's interface, and why; internal to net/.

namespace sallyport::net {

class Stream;

using Socket =
    boost::asio::basic_stream_socket<boost::asio::ip::tcp, boost::asio::io_context::executor_type>;

/// Asio tries each read at once, as it cannot know whether the last one left anything: on a
/// connection that goes question by answer, every second recv is for nothing (EAGAIN). The kernel
/// does know (TCP_INQ, tcp(7)): a read that took less than it could and is told that nothing is
/// left, not even a FIN, says so to the reactor (done_and_exhausted, as Asio's own sends do), and
/// the next one waits for the event. Sockets without TCP_INQ (Unix) are read as Asio does it.
///
/// A reset that arrives together with the last bytes is all there is to miss: Stream looks for it
/// when a read has waited for a second.
class ReceiveOp : private boost::asio::detail::reactor_op {
 public:
  ReceiveOp();

  /// Asks the kernel to tell.
  void Prepare(Socket& socket);
  bool tells() const { return tells_; }
  /// Reads into `to`; Stream::OnRead is next. One at a time.
  void Start(Socket& socket, std::shared_ptr<Stream> stream, char* to, size_t size);
  /// The end or the error that the connection has come to; none while it is open.
  static boost::system::error_code End(int descriptor);

 private:
  static status Perform(boost::asio::detail::reactor_op* base);
  static void Complete(void* owner, boost::asio::detail::operation* base,
                       const boost::system::error_code&, std::size_t);

  std::shared_ptr<Stream> stream_;
  char* to_ = nullptr;
  size_t size_ = 0;
  int descriptor_ = -1;
  bool tells_ = false;
};

}  // namespace sallyport::net
