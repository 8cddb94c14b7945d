#include "net/stream.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <sys/socket.h>

#include "net/acceptor.h"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

constexpr size_t kChunk = 16 << 10;       // of one read
constexpr size_t kSealAtOnce = 64 << 10;  // plain bytes sealed before they are sent
constexpr std::chrono::milliseconds kDozeAfter{1000}, kProbeAfter{1000};

}  // namespace

Pieces::Pieces(std::string_view a, std::string_view b, std::string_view c) {
  for (const std::string_view piece : {a, b, c}) {
    if (!piece.empty()) at_[count_++] = iovec{const_cast<char*>(piece.data()), piece.size()};
  }
}

void Pieces::Advance(size_t bytes) {
  while (bytes > 0 && first_ < count_) {
    iovec& front = at_[first_];
    const size_t n = std::min(bytes, front.iov_len);
    front.iov_base = static_cast<char*>(front.iov_base) + n;
    front.iov_len -= n;
    bytes -= n;
    if (front.iov_len == 0) ++first_;
  }
}

Stream::Stream(Loop& loop, Socket socket, std::unique_ptr<TlsEngine> tls)
    : socket_(std::move(socket)),
      tls_(std::move(tls)),
      reader_(loop),
      writer_(loop),
      doze_(loop, [this] { Doze(); }),
      probe_(loop, [this] { Probe(); }) {
  boost::system::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.native_non_blocking(true, ignored);
  receive_.Prepare(socket_);
}

Result<> Stream::StartTls(std::unique_ptr<TlsEngine> tls, Ahead ahead) {
  if (tls_) return Fail(Errc::request_malformed, "TLS is on already");
  if (ahead == Ahead::refuse && begin_ != end_)
    return Fail(Errc::request_malformed, "plain bytes behind the request for TLS");
  tls_ = std::move(tls);
  if (begin_ != end_ && !tls_->Feed(data())) return Fail(Errc::io_failed, "TLS refuses its input");
  begin_ = end_;
  return {};
}

std::string Stream::peer_address() const { return PeerAddress(socket_); }

uint16_t Stream::local_port() const {
  boost::system::error_code error;
  const auto local = socket_.local_endpoint(error);
  const int family = local.data()->sa_family;
  return error || (family != AF_INET && family != AF_INET6) ? uint16_t(0) : local.port();
}

Task<> Stream::Handshake(TimePoint until) {
  if (!tls_) co_return Result<>();
  for (;;) {
    const TlsEngine::Outcome outcome = tls_->Handshake();
    if (!Flush()) co_return Fail(Errc::io_failed, "the connection broke in the TLS handshake");
    if (outcome == TlsEngine::Outcome::ok) break;
    if (outcome != TlsEngine::Outcome::want_more) co_return Fail(Errc::io_failed, tls_->error());
    const Got got = co_await More(until);
    if (got == Got::timeout) co_return Fail(Errc::upstream_timeout, "TLS handshake");
    if (got == Got::ended)
      co_return Fail(Errc::io_failed, "the peer left during the TLS handshake");
  }
  Decrypt();  // what came behind its last message
  co_return Result<>();
}

void Stream::Watch() {
  if (reading_ != Reading::nothing || ended_) return;
  Compact();
  if (end_ < capacity_ || Grow()) ArmRead();
}

/// Moves what is left to the front; not under a read that goes into the buffer.
void Stream::Compact() {
  if (begin_ == 0) return;
  if (begin_ < end_) std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
  end_ -= begin_, begin_ = 0;
}

bool Stream::Grow() {
  const size_t most = std::max(room_, kChunk);
  if (capacity_ >= most) return false;
  const size_t grown = std::min(std::max(kChunk, capacity_ * 2), most);
  auto buffer = std::make_unique_for_overwrite<char[]>(grown);
  if (end_ > 0) std::memcpy(buffer.get(), buffer_.get(), end_);
  buffer_ = std::move(buffer), capacity_ = grown;
  return true;
}

void Stream::ArmRead() {
  char* to = buffer_.get() + end_;
  size_t size = capacity_ - end_;
  if (tls_) {
    if (!sealed_) sealed_ = std::make_unique_for_overwrite<char[]>(kChunk);
    to = sealed_.get(), size = kChunk;
  }
  reading_ = Reading::bytes;
  reading_plain_ = !tls_;
  if (receive_.tells()) probe_.SetAfter(kProbeAfter);
  receive_.Start(socket_, shared_from_this(), to, size);
}

/// A read may wait for an event that came together with the bytes before it.
void Stream::Probe() {
  if (reading_ != Reading::bytes || closed_) return;
  missed_ = ReceiveOp::End(socket_.native_handle());
  if (!missed_) return;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

void Stream::OnRead(boost::system::error_code error, size_t n) {
  reading_ = Reading::nothing;
  if (missed_ && error == asio::error::operation_aborted) error = missed_;
  if (dozing_ && error == asio::error::operation_aborted && !closed_) {
    buffer_.reset(), sealed_.reset();
    capacity_ = begin_ = end_ = 0;
    reading_ = Reading::readiness;
    socket_.async_wait(Socket::wait_read, [self = shared_from_this()](boost::system::error_code e) {
      self->OnReady(e);
    });
    return;
  }
  dozing_ = false;
  if (error) ended_ = true;
  if (!tls_) {
    clean_ = error == asio::error::eof;
    end_ += n;
    return Arrived();
  }
  const size_t before = end_;
  const char* from = reading_plain_ ? buffer_.get() + end_ : sealed_.get();
  if (n > 0 && !tls_->Feed({from, n})) ended_ = true;
  reading_plain_ = false;
  Decrypt();
  if (!Flush()) ended_ = true;
  // A record that is not whole yet, or one without content: nobody needs to know, except a
  // handshake.
  if (end_ == before && !ended_ && !tls_->handshaking()) return ArmRead();
  Arrived();
}

void Stream::OnReady(boost::system::error_code error) {
  reading_ = Reading::nothing;
  dozing_ = false;
  if (error || closed_) {
    ended_ = true;
    return Arrived();
  }
  Watch();
}

/// Tells whoever waits, or else whoever wants to know.
void Stream::Arrived() {
  doze_.Clear();
  if (reader_.occupied()) return reader_.Resume();
  if (ended_) {
    on_data_ = nullptr;
    if (auto f = std::exchange(on_end_, nullptr)) f();
  } else if (auto f = std::exchange(on_data_, nullptr)) {
    f();
  } else {
    Watch();
  }
}

void Stream::Doze() {
  if (reading_ != Reading::bytes || begin_ != end_ || !reader_.occupied() ||
      (tls_ && tls_->pending()))
    return;
  dozing_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

bool Stream::Decrypt() {
  bool any = false;
  while (tls_ && !tls_->handshaking()) {
    if (end_ == capacity_) {
      Compact();  // under TLS a pending read goes elsewhere
      if (end_ == capacity_ && !Grow()) break;
    }
    size_t n = 0;
    const TlsEngine::Outcome outcome = tls_->Read(buffer_.get() + end_, capacity_ - end_, n);
    end_ += n;
    any |= n > 0;
    if (outcome == TlsEngine::Outcome::want_more) break;
    if (outcome != TlsEngine::Outcome::ok) {
      ended_ = true;
      clean_ = outcome == TlsEngine::Outcome::ended;
      break;
    }
  }
  return any;
}

asio::awaitable<Stream::Got> Stream::More(TimePoint until, bool may_doze) {
  const auto self = shared_from_this();
  const size_t before = end_ - begin_;
  if (!ended_) Watch();
  if (tls_ && !closed_ && tls_->pending() && Decrypt()) co_return Got::data;
  if (ended_) co_return Got::ended;
  if (reading_ == Reading::nothing)
    co_return Got::ended;  // no room: the caller asked for more than its bound
  if (may_doze) doze_.SetAfter(kDozeAfter);
  const Parking::Wake wake = co_await reader_.Wait(until);
  doze_.Clear();
  if (wake == Parking::Wake::timeout) co_return Got::timeout;
  if (end_ - begin_ > before) co_return Got::data;
  co_return ended_ || wake == Parking::Wake::gone ? Got::ended : Got::data;
}

bool Stream::Send(Pieces& pieces) {
  while (!pieces.empty()) {
    msghdr message{};
    message.msg_iov = const_cast<iovec*>(pieces.data());
    message.msg_iovlen = pieces.count();
    const ssize_t n = ::sendmsg(socket_.native_handle(), &message, MSG_NOSIGNAL);
    if (n >= 0) {
      pieces.Advance(size_t(n));
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return true;
    } else if (errno != EINTR) {
      broken_ = true;
      return false;
    }
  }
  return true;
}

bool Stream::Flush() {
  if (!tls_ || closed_) return !closed_;
  while (!tls_->outbox().empty()) {
    Pieces pieces(tls_->outbox());
    const size_t before = tls_->outbox().size();
    if (!Send(pieces)) return false;
    const size_t left = pieces.empty() ? 0 : pieces.data()->iov_len;
    tls_->Sent(before - left);
    if (left > 0) break;
  }
  return true;
}

/// Seals at most kSealAtOnce bytes; small pieces share a segment, so that head and body leave with
/// one send.
bool Stream::Seal(Pieces& pieces) {
  while (!pieces.empty() && tls_->outbox().size() < kSealAtOnce) {
    const size_t n = std::min(pieces.data()->iov_len, kSealAtOnce);
    if (!tls_->Write({static_cast<const char*>(pieces.data()->iov_base), n})) return false;
    pieces.Advance(n);
  }
  return true;
}

Stream::Sent Stream::Start(Pieces& pieces) {
  if (closed_ || broken_) return Sent::failed;
  if (!tls_) {
    if (!Send(pieces)) return Sent::failed;
    return pieces.empty() ? Sent::all : Sent::part;
  }
  do {
    if (!Seal(pieces) || !Flush()) {
      broken_ = true;
      return Sent::failed;
    }
    if (!tls_->outbox().empty()) return Sent::part;
  } while (!pieces.empty());
  return Sent::all;
}

asio::awaitable<bool> Stream::Writable(std::chrono::milliseconds limit) {
  socket_.async_wait(Socket::wait_write, [self = shared_from_this()](boost::system::error_code) {
    self->writer_.Resume();
  });
  co_return co_await writer_.Wait(limit) == Parking::Wake::signalled && !closed_;
}

Task<> Stream::Finish(Pieces pieces, std::chrono::milliseconds limit) {
  const auto self = shared_from_this();
  for (;;) {
    const Sent sent = Start(pieces);
    if (sent == Sent::all) co_return Result<>();
    if (sent == Sent::failed) co_return Fail(Errc::io_failed, "the peer is gone");
    if (!co_await Writable(limit)) {
      broken_ = true;
      co_return Fail(Errc::io_failed,
                     closed_ ? "the connection was closed" : "the peer does not read");
    }
  }
}

asio::awaitable<void> Stream::Linger(std::chrono::milliseconds limit) {
  const auto self = shared_from_this();
  if (tls_ && !closed_) {
    tls_->Shutdown();
    Flush();
  }
  boost::system::error_code ignored;
  socket_.shutdown(Socket::shutdown_send, ignored);
  const TimePoint until = std::chrono::steady_clock::now() + limit;
  size_t discarded = 0;
  while (!ended_ && discarded < (4 << 20)) {
    discarded += end_ - begin_;
    begin_ = end_;
    if (co_await More(until) != Got::data) break;
  }
  Close();
}

void Stream::Close() {
  if (closed_) return;
  if (tls_ && !broken_ && !ended_) {
    tls_->Shutdown();
    Flush();
  }
  closed_ = ended_ = true;
  on_end_ = on_data_ = nullptr;
  doze_.Clear();
  boost::system::error_code ignored;
  socket_.close(ignored);
  reader_.Signal(Parking::Wake::gone);
  writer_.Signal(Parking::Wake::gone);
}

}  // namespace sallyport::net
