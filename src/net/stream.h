#pragma once

#include <algorithm>
#include <array>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <sys/uio.h>

#include "base/task.h"
#include "net/loop.h"
#include "net/receive_op.h"
#include "net/tls_engine.h"

namespace sallyport::net {

/// Bytes that are written together, in order; views into memory of the caller.
class Pieces {
 public:
  Pieces(std::string_view a, std::string_view b = {}, std::string_view c = {});
  bool empty() const { return first_ == count_; }
  const iovec* data() const { return at_.data() + first_; }
  size_t count() const { return count_ - first_; }
  void Advance(size_t bytes);

 private:
  std::array<iovec, 3> at_;
  size_t count_ = 0;
  size_t first_ = 0;
};

/// A TCP connection, plain or under TLS, for one peer that asks or answers. Made for the path where
/// one request costs one recv and one send:
///
/// * Writing tries the socket at once and waits only if it is full.
/// * One read is always pending while somebody cares. The read that will bring the next request is
/// started
///   before the handler of the current one runs, so a client that hangs up is noticed by that read,
///   with no system call and no timer of its own. Bytes that come early stay in the buffer; when
///   that is full, the watch rests until they are used.
/// * A connection that idles for a second gives its buffer back and waits for readiness only.
///
/// Touched by its shard only. Shared, as a pending read outlives its owner for a moment; Close()
/// ends it.
class Stream : public std::enable_shared_from_this<Stream> {
 public:
  enum class Got { data, ended, timeout };

  /// `tls` is null for a plain connection. The socket is open and connected.
  Stream(Loop& loop, Socket socket, std::unique_ptr<TlsEngine> tls);

  /// Nothing to do where there is no TLS. io_failed, upstream_timeout.
  Task<> Handshake(TimePoint until);

  /// What data() holds when TLS starts: sealed bytes that were read to find out that they are
  /// (direct TLS), or nothing, as plain bytes behind the request for TLS would be taken for what
  /// came under its protection (CVE-2021-23214, CVE-2021-23222).
  enum class Ahead { refuse, sealed };
  /// From here on the connection is under TLS; Handshake() is next. All that was to be sent plain
  /// has been sent. request_malformed if there are plain bytes, and where TLS is on already.
  Result<> StartTls(std::unique_ptr<TlsEngine> tls, Ahead ahead = Ahead::refuse);
  /// Null for a plain connection. Of use for what the handshake agreed on.
  const TlsEngine* tls_engine() const { return tls_.get(); }
  /// The address of the other side without its port; empty for a Unix socket.
  std::string peer_address() const;
  /// Our own port; 0 for a Unix socket.
  uint16_t local_port() const;

  /// What was read and not consumed; valid until the next Consume, Watch or wait.
  std::string_view data() const { return {buffer_.get() + begin_, end_ - begin_}; }
  void Consume(size_t n) { begin_ += std::min(n, end_ - begin_); }
  /// Makes sure that a read is pending, if there is room for more than what data() holds.
  void Watch();
  /// Waits until data() grows. One coroutine waits at a time: if another one comes, as with
  /// Linger(), the first gets `ended`. A connection that `may_doze` gives back its buffer when
  /// nothing comes soon.
  boost::asio::awaitable<Got> More(TimePoint until, bool may_doze = false);
  /// Room for data() of at least `n` bytes from now on (the bound of a head).
  void SetRoom(size_t n) { room_ = n; }

  /// The peer has closed or reset its side, or the connection was closed here.
  bool ended() const { return ended_; }
  /// It said so: by a FIN, under TLS by a close_notify. A reset or a cut is not clean.
  bool ended_cleanly() const { return clean_ && !closed_; }
  /// Called once when that happens and nobody waits in More(). Empty: not any more.
  void OnEnd(std::function<void()> f) { on_end_ = std::move(f); }
  /// Called once for bytes that come while nobody waits in More().
  void OnData(std::function<void()> f) { on_data_ = std::move(f); }

  enum class Sent { all, part, failed };
  /// Writes what can be written now without waiting. After `part`, what is left goes to Finish().
  Sent Start(Pieces& pieces);
  /// Writes the rest, or io_failed: broken, or `limit` went by without the peer taking one byte.
  Task<> Finish(Pieces pieces, std::chrono::milliseconds limit);

  /// Lets the peer read our last words: closes our side, then discards what still comes, for at
  /// most `limit`.
  boost::asio::awaitable<void> Linger(std::chrono::milliseconds limit);
  void Close();
  bool closed() const { return closed_; }
  bool tls() const { return tls_ != nullptr; }

 private:
  friend class ReceiveOp;
  enum class Reading { nothing, bytes, readiness };

  void ArmRead();
  void OnRead(boost::system::error_code error, size_t n);
  void OnReady(boost::system::error_code error);
  void Arrived();
  void Doze();
  void Probe();
  bool Decrypt();  // moves plain text into the buffer; false if there was none
  void Compact();
  bool Grow();  // false if the buffer is as large as it may be
  bool Seal(Pieces& pieces);
  bool Flush();  // sends what TLS has to say; false if broken
  bool Send(Pieces& pieces);
  boost::asio::awaitable<bool> Writable(std::chrono::milliseconds limit);

  Socket socket_;
  std::unique_ptr<TlsEngine> tls_;
  std::unique_ptr<char[]> buffer_;  // plain text
  size_t capacity_ = 0, begin_ = 0, end_ = 0;
  size_t room_ = 16 << 10;
  std::unique_ptr<char[]> sealed_;  // what a read under TLS goes into
  Reading reading_ = Reading::nothing;
  bool reading_plain_ = false;  // into buffer_, though TLS may have started since
  bool dozing_ = false;
  bool ended_ = false, clean_ = false, closed_ = false, broken_ = false;
  Parking reader_, writer_;
  ReceiveOp receive_;
  boost::system::error_code missed_;
  Deadline doze_, probe_;
  std::function<void()> on_end_, on_data_;
};

}  // namespace sallyport::net
