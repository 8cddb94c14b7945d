#include "net/receive_op.h"

#include <cerrno>
#include <cstring>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <utility>

#include "net/stream.h"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

/// Lets one see the parts of a socket that its derived classes may.
struct OpenSocket : Socket {
  static auto& Implementation(Socket& socket) {
    return static_cast<OpenSocket&>(socket).impl_.get_implementation();
  }
};

/// What the kernel says is left; 1 where it does not say.
int Left(msghdr& message) {
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c != nullptr; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_TCP || c->cmsg_type != TCP_CM_INQ) continue;
    int left = 1;
    std::memcpy(&left, CMSG_DATA(c), sizeof left);
    return left;
  }
  return 1;
}

}  // namespace

ReceiveOp::ReceiveOp() : reactor_op({}, &Perform, &Complete) {}

void ReceiveOp::Prepare(Socket& socket) {
  const int yes = 1;
  tells_ = ::setsockopt(socket.native_handle(), SOL_TCP, TCP_INQ, &yes, sizeof yes) == 0;
}

void ReceiveOp::Start(Socket& socket, std::shared_ptr<Stream> stream, char* to, size_t size) {
  stream_ = std::move(stream);
  to_ = to, size_ = size;
  descriptor_ = socket.native_handle();
  ec_ = {};
  bytes_transferred_ = 0;
  auto& implementation = OpenSocket::Implementation(socket);
  auto& reactor = asio::use_service<asio::detail::reactor>(socket.get_executor().context());
  reactor.start_op(asio::detail::reactor::read_op, descriptor_, implementation.reactor_data_, this,
                   /*is_continuation=*/false, /*allow_speculative=*/true);
}

ReceiveOp::status ReceiveOp::Perform(reactor_op* base) {
  auto& self = *static_cast<ReceiveOp*>(base);
  for (;;) {
    iovec piece{self.to_, self.size_};
    alignas(cmsghdr) char control[CMSG_SPACE(sizeof(int))];
    msghdr message{};
    message.msg_iov = &piece;
    message.msg_iovlen = 1;
    if (self.tells_) message.msg_control = control, message.msg_controllen = sizeof control;
    const ssize_t n = ::recvmsg(self.descriptor_, &message, MSG_DONTWAIT);
    if (n > 0) {
      self.bytes_transferred_ = size_t(n);
      const bool all = size_t(n) < self.size_ && self.tells_ && Left(message) == 0;
      return all ? done_and_exhausted : done;
    }
    if (n == 0) {
      self.ec_ = asio::error::eof;
      return done_and_exhausted;
    }
    if (errno == EINTR) continue;
    if (errno == EAGAIN || errno == EWOULDBLOCK) return not_done;
    self.ec_.assign(errno, asio::error::get_system_category());
    return done;
  }
}

void ReceiveOp::Complete(void* owner, asio::detail::operation* base,
                         const boost::system::error_code&, std::size_t) {
  auto& self = *static_cast<ReceiveOp*>(base);
  const auto stream = std::move(self.stream_);  // may be all that keeps it, and us
  if (owner != nullptr) stream->OnRead(self.ec_, self.bytes_transferred_);
}

boost::system::error_code ReceiveOp::End(int descriptor) {
  char byte;
  const ssize_t n = ::recv(descriptor, &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR))) return {};
  if (n == 0) return asio::error::eof;
  return {errno, asio::error::get_system_category()};
}

}  // namespace sallyport::net
