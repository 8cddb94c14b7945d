#include "net/http_connection.h"

#include <charconv>
#include <ctime>
#include <exception>
#include <utility>

#include "base/client_certificate.h"
#include "net/exception.h"
#include "net/http_chunks.h"
#include "net/http_response.h"
#include "obs/log.h"

namespace sallyport::net {

namespace asio = boost::asio;

namespace {

constexpr std::chrono::milliseconds kLinger{1'000};

}  // namespace

/// One exchange; lives in the connection's coroutine for the time of the handler's call.
class Exchange final : public HttpExchange {
 public:
  Exchange(HttpConnection& connection, const HttpRequest& request)
      : connection_(connection), request_(request) {}
  ~Exchange() override { connection_.stream_->OnEnd({}); }

  const HttpRequest& request() const override { return request_; }
  bool client_gone() const override { return connection_.stream_->ended(); }
  void OnGone(std::function<void()> f) override {
    if (!client_gone()) return connection_.stream_->OnEnd(std::move(f));
    if (f) f();  // it left behind a pipelined request
  }
  asio::any_io_executor executor() const override {
    return connection_.loop_.context().get_executor();
  }
  void CloseAfter() override { connection_.keep_ = false; }

  bool begun() const { return state_ != State::fresh; }
  /// True if the client has got exactly one whole response.
  bool complete() const { return state_ == State::done && !failed_; }

  void AddToResponse(std::string name, std::string value) override {
    added_.Add(std::move(name), std::move(value));
  }

  Task<> Respond(int status, Headers headers, std::string body) override {
    if (state_ != State::fresh) co_return Fail(Errc::internal, "a second response");
    for (const auto& [name, value] : added_.fields()) headers.Add(name, value);
    std::string head = BuildResponseHead(status, headers);
    if (head.empty()) co_return Fail(Errc::internal, "a response field that is malformed");
    state_ = State::done;
    CountResponse(status);
    if (!HasNoBody(status)) AppendLength(head, body.size());
    head += Closing() ? "Connection: close\r\n\r\n" : "\r\n";
    const bool silent = HasNoBody(status) || request_.method == "HEAD";
    Pieces pieces(head, silent ? std::string_view() : std::string_view(body));
    const Stream::Sent sent = connection_.stream_->Start(pieces);
    if (sent == Stream::Sent::all) co_return Result<>();
    co_return co_await Finish(pieces, sent);
  }

  Task<> Begin(int status, Headers headers) override {
    if (state_ != State::fresh) co_return Fail(Errc::internal, "a second response");
    for (const auto& [name, value] : added_.fields()) headers.Add(name, value);
    std::string head = BuildResponseHead(status, headers);
    if (head.empty() || HasNoBody(status))
      co_return Fail(Errc::internal, "a response that cannot have a body");
    state_ = State::streaming;
    CountResponse(status);
    if (connection_.old_) {
      connection_.keep_ = false;  // the end of the connection is the end of the body
    } else {
      head += "Transfer-Encoding: chunked\r\n";
    }
    head += Closing() ? "Connection: close\r\n\r\n" : "\r\n";
    co_return co_await Send(Pieces(head));
  }

  Task<> Write(std::string_view bytes) override {
    if (state_ != State::streaming) co_return Fail(Errc::internal, "a piece outside a response");
    if (bytes.empty() || request_.method == "HEAD") co_return Result<>();
    if (connection_.old_) co_return co_await Send(Pieces(bytes));
    char size[24];
    char* end = std::to_chars(size, size + 16, bytes.size(), 16).ptr;
    *end++ = '\r', *end++ = '\n';
    co_return co_await Send(Pieces({size, size_t(end - size)}, bytes, "\r\n"));
  }

  Task<> End() override {
    if (state_ != State::streaming) co_return Fail(Errc::internal, "an end outside a response");
    state_ = State::done;
    if (connection_.old_ || request_.method == "HEAD") co_return Result<>();
    co_return co_await Send(Pieces("0\r\n\r\n"));
  }

 private:
  enum class State { fresh, streaming, done };

  bool Closing() const {
    if (connection_.shared_->draining.load(std::memory_order_relaxed)) connection_.keep_ = false;
    return !connection_.keep_;
  }

  Task<> Send(Pieces pieces) {
    const Stream::Sent sent = connection_.stream_->Start(pieces);
    if (sent == Stream::Sent::all) co_return Result<>();
    co_return co_await Finish(pieces, sent);
  }

  Task<> Finish(Pieces pieces, Stream::Sent sent) {
    Result<> finished = Fail(Errc::io_failed, "the client is gone");
    if (sent == Stream::Sent::part)
      finished = co_await connection_.stream_->Finish(
          pieces, std::chrono::milliseconds(connection_.limits_.write_timeout_ms));
    if (!finished) failed_ = true;
    co_return finished;
  }

  HttpConnection& connection_;
  const HttpRequest& request_;
  Headers added_;
  State state_ = State::fresh;
  bool failed_ = false;
};

HttpConnection::HttpConnection(std::shared_ptr<ServerShared> shared, HttpLimits limits,
                               std::shared_ptr<Stream> stream, std::string address, Loop& loop)
    : shared_(std::move(shared)),
      limits_(limits),
      stream_(std::move(stream)),
      address_(std::move(address)),
      loop_(loop) {
  stream_->SetRoom(limits_.header_bytes);
}

HttpConnection::~HttpConnection() {
  stream_->Close();
  shared_->connections.fetch_sub(1, std::memory_order_relaxed);
  if (limits_.connections_per_address == 0) return;
  std::lock_guard lock(shared_->mutex);
  const auto found = shared_->per_address.find(address_);
  if (found != shared_->per_address.end() && --found->second == 0)
    shared_->per_address.erase(found);
}

void HttpConnection::Drain() {
  keep_ = false;
  if (idle_) stream_->Close();
}

asio::awaitable<void> HttpConnection::Run(std::shared_ptr<HttpConnection> self) {
  HttpConnection& c = *self;
  if (c.stream_->tls()) {
    const Result<> shaken = co_await c.stream_->Handshake(c.In(c.limits_.header_timeout_ms));
    if (!shaken) {
      obs::Log(obs::Level::debug, "net.handshake_failed",
               {{"address", c.address_}, {"detail", shaken.error().detail}});
      co_return;
    }
    c.certificate_ = c.stream_->tls_engine()->ClientProof();
  }
  while (c.keep_) {
    HttpRequest request;
    Refusal refusal;
    const Next next = co_await c.ReadRequest(request, refusal);
    if (next == Next::closed) break;
    if (next == Next::refused) {
      co_await c.Refuse(refusal);
      break;
    }
    if (!co_await c.Serve(request)) break;
    c.first_ = false;
  }
  if (!c.stream_->closed()) co_await c.stream_->Linger(kLinger);
}

asio::awaitable<HttpConnection::Next> HttpConnection::ReadRequest(HttpRequest& request,
                                                                  Refusal& refusal) {
  scanner_.Reset();
  idle_ = stream_->data().empty();
  TimePoint until = In(first_ || !idle_ ? limits_.header_timeout_ms : limits_.idle_timeout_ms);
  size_t length = 0;
  for (;;) {
    if (!stream_->data().empty()) {
      const auto found = scanner_.Find(stream_->data());
      if (!found) {
        refusal = found.error();
        co_return Next::refused;
      }
      length = *found;
      if (length > 0 && length <= limits_.header_bytes) break;
      if (stream_->data().size() >= limits_.header_bytes) {
        refusal = Refusal{431, Errc::request_too_large, "a head too large"};
        co_return Next::refused;
      }
      if (std::exchange(idle_, false)) until = In(limits_.header_timeout_ms);
    }
    const Stream::Got got = co_await stream_->More(until, idle_);
    if (got == Stream::Got::data) continue;
    if (idle_ || got == Stream::Got::ended) co_return Next::closed;
    refusal = Refusal{408, Errc::limit_exceeded, "a head too slow"};
    co_return Next::refused;
  }
  idle_ = false;
  auto head = ParseRequestHead(stream_->data().substr(0, length));
  if (!head) {
    refusal = head.error();
    co_return Next::refused;
  }
  stream_->Consume(length);
  old_ = head->old;
  if (!head->keep_alive) keep_ = false;
  if (head->framing.kind != Framing::Kind::none) {
    const Next next = co_await ReadBody(*head, request.body, refusal);
    if (next != Next::request) co_return next;
  }
  request.method = std::move(head->method);
  request.target = std::move(head->target);
  request.headers = std::move(head->headers);
  request.address = address_;
  request.tls = stream_->tls();
  request.certificate = certificate_;
  co_return Next::request;
}

asio::awaitable<HttpConnection::Next> HttpConnection::ReadBody(const RequestHead& head,
                                                               std::string& body,
                                                               Refusal& refusal) {
  constexpr uint64_t kReserve = 64 << 10;  // a length is a claim until the bytes are there
  const bool chunked = head.framing.kind == Framing::Kind::chunked;
  uint64_t left = head.framing.length;
  if (!chunked && left > limits_.body_bytes) {
    refusal = Refusal{413, Errc::request_too_large, "a body too large"};
    co_return Next::refused;
  }
  body.reserve(size_t(std::min(left, kReserve)));
  if (head.expects_continue && stream_->data().empty()) {
    Pieces pieces("HTTP/1.1 100 Continue\r\n\r\n");
    if (stream_->Start(pieces) != Stream::Sent::all) co_return Next::closed;
  }
  ChunkReader chunks(ChunkReader::Strictness::refuse_extras);
  std::optional<TimePoint> until;
  for (;;) {
    const std::string_view data = stream_->data();
    if (chunked) {
      const auto used = chunks.Feed(data, body, limits_.body_bytes);
      if (!used) {
        refusal = chunks.refusal();
        co_return Next::refused;
      }
      stream_->Consume(*used);
      if (chunks.done()) co_return Next::request;
    } else {
      const size_t n = size_t(std::min<uint64_t>(left, data.size()));
      body.append(data.substr(0, n));
      stream_->Consume(n);
      left -= n;
      if (left == 0) co_return Next::request;
    }
    if (!until) until = In(limits_.body_timeout_ms);
    const Stream::Got got = co_await stream_->More(*until);
    if (got == Stream::Got::ended) co_return Next::closed;
    if (got == Stream::Got::timeout) {
      refusal = Refusal{408, Errc::limit_exceeded, "a body too slow"};
      co_return Next::refused;
    }
  }
}

/// Runs the handler; false if the connection must not be used any more.
asio::awaitable<bool> HttpConnection::Serve(const HttpRequest& request) {
  struct Active {
    explicit Active(std::atomic<size_t>& c) : count(c) {
      count.fetch_add(1, std::memory_order_relaxed);
    }
    ~Active() { count.fetch_sub(1, std::memory_order_relaxed); }
    std::atomic<size_t>& count;
  };
  stream_->Watch();  // the read that brings the next request notices a client that leaves
  const Active active(shared_->active);
  Exchange exchange(*this, request);
  bool threw = false;
  try {
    co_await shared_->options.handler(exchange);
  } catch (...) {
    threw = true;
    ReportException(std::current_exception(), "net.handler_failed");
  }
  if (!exchange.begun()) {
    keep_ = keep_ && !threw;
    Headers headers;
    std::string body;
    co_return (co_await exchange.Respond(500, std::move(headers), std::move(body))).has_value() &&
        keep_;
  }
  // A stream that was not ended must not look as if it had been: no last chunk, just the end.
  if (!exchange.complete()) {
    stream_->Close();
    co_return false;
  }
  co_return keep_;
}

asio::awaitable<void> HttpConnection::Refuse(const Refusal& refusal) {
  shared_->Refused(address_, refusal);
  Headers headers;
  std::string head = BuildResponseHead(refusal.status, headers);
  head += "Content-Length: 0\r\nConnection: close\r\n\r\n";
  Pieces pieces(head);
  if (stream_->Start(pieces) == Stream::Sent::failed) stream_->Close();
  co_return;
}

}  // namespace sallyport::net
